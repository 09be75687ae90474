#include "address_book.h"

#include <stdatomic.h>
#include <string.h>

/* Cookies are given out in sequence, a batch a processor. */
static size_t book_place(uint64_t cookie) {
    return cookie % ADDRESS_BOOK_SIZE;
}

/* Being written: whoever dies in between leaves a place that is of no use any more. */
static const uint64_t BUSY = ~0ULL;

void address_book_note(struct address_book *book, uint64_t cookie, const struct ends *ends) {
    size_t place = book_place(cookie);
    uint64_t words[ENDS_WORDS] = {0}, before = atomic_load(&book->list[place].cookie);
    memcpy(words, ends, sizeof *ends);
    if (before == BUSY || !atomic_compare_exchange_strong(&book->list[place].cookie, &before, BUSY))
        return;
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < ENDS_WORDS; i++)
        atomic_store_explicit(&book->list[place].words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&book->list[place].cookie, cookie, memory_order_release);
}

void address_book_expect(const struct address_book *book, uint64_t cookie) {
    __builtin_prefetch(&book->list[book_place(cookie)], 1);
}

/* The one place where what stands in the book becomes addresses: anybody may have written it. */
static bool ends_from_words(const uint64_t words[ENDS_WORDS], struct ends *ends) {
    memcpy(ends, words, sizeof *ends);
    return address_is_sound(&ends->local) && address_is_sound(&ends->remote) && ends->role < ROLE_COUNT &&
           ends->fin_left <= 1;
}

bool address_book_find(struct address_book *book, uint64_t cookie, struct ends *ends) {
    uint64_t words[ENDS_WORDS];
    size_t place = book_place(cookie);
    if (!cookie || atomic_load(&book->list[place].cookie) != cookie)
        return false;
    for (unsigned i = 0; i < ENDS_WORDS; i++)
        words[i] = atomic_load_explicit(&book->list[place].words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&book->list[place].cookie) == cookie && ends_from_words(words, ends);
}
