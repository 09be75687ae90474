#include "fd_slot.h"

#include <stdatomic.h>
#include <stddef.h>

#include "pure/unroll.h"

enum { VERSION = 16 };
static const uint64_t FLAGS = (1 << VERSION) - 1;

static uint64_t next_version(uint64_t word, uint64_t what) {
    return (slot_version(word) + 1) << VERSION | what;
}

static uint64_t same_version(uint64_t word, uint64_t what) {
    return (word & ~FLAGS) | what;
}

uint64_t slot_now(struct slot *slot) {
    return atomic_load_explicit(&slot->word, memory_order_acquire);
}

static inline bool read_words(struct slot *slot, uint64_t word, uint64_t words[], size_t count) {
    bool has_words = slot_kind(word) == SLOT_TCP || (word & (SLOT_WAS_TCP | SLOT_CLOSING));
    if (!has_words)
        return false;
    UNROLL(10)
    for (size_t i = 0; i < count; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    uint64_t now = atomic_load_explicit(&slot->word, memory_order_acquire);
    return slot_version(now) == slot_version(word) && !(now & SLOT_BUSY);
}

bool slot_read(struct slot *slot, uint64_t word, uint64_t words[SLOT_WORDS]) {
    return read_words(slot, word, words, SLOT_WORDS);
}

bool slot_read_first(struct slot *slot, uint64_t word, uint64_t *first) {
    return read_words(slot, word, first, 1);
}

/* Exchanges the word as long as it is that one, whatever is marked meanwhile. */
// NOLINTNEXTLINE(readability-non-const-parameter): the exchange writes it
static bool exchange_word(struct slot *slot, uint64_t *word, uint64_t new_word) {
    uint64_t was = *word | SLOT_SEEN;
    while ((*word | SLOT_SEEN) == was && !(*word & SLOT_BUSY))
        if (atomic_compare_exchange_strong(&slot->word, word, new_word))
            return true;
    return false;
}

/* What was spoiled while it was written. */
static void settle(struct slot *slot, uint64_t word) {
    while (!atomic_compare_exchange_strong(&slot->word, &word, next_version(word, slot_what(SLOT_UNKNOWN, 0)))) {
    }
}

static bool change_with_words(struct slot *slot, uint64_t *word, uint64_t what, const uint64_t words[SLOT_WORDS]) {
    uint64_t busy = next_version(*word, slot_what(SLOT_UNKNOWN, SLOT_BUSY));
    if (!exchange_word(slot, word, busy))
        return false;
    for (size_t i = 0; i < SLOT_WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
    *word = busy;
    if (!atomic_compare_exchange_strong(&slot->word, word, same_version(busy, what)))
        settle(slot, *word);
    return true;
}

bool slot_change(struct slot *slot, uint64_t *word, uint64_t what, const uint64_t words[SLOT_WORDS]) {
    return words ? change_with_words(slot, word, what, words) : exchange_word(slot, word, next_version(*word, what));
}

void slot_spoil(struct slot *slot, uint64_t word) {
    atomic_compare_exchange_strong(&slot->word, &word, next_version(word, slot_what(SLOT_UNKNOWN, SLOT_BUSY)));
}

bool slot_mark(struct slot *slot, uint64_t word, uint64_t set, uint64_t clear) {
    uint64_t version = slot_version(word);
    while (slot_version(word) == version && slot_kind(word) == SLOT_TCP)
        if (atomic_compare_exchange_strong(&slot->word, &word, (word & ~clear) | set))
            return true;
    return false;
}

bool slot_closing(struct slot *slot, uint64_t word) {
    uint64_t version = slot_version(word);
    while (slot_version(word) == version && slot_kind(word) == SLOT_TCP) {
        uint64_t kept = slot_what(SLOT_UNKNOWN, SLOT_CLOSING | (word & SLOT_SEEN));
        if (atomic_compare_exchange_strong(&slot->word, &word, same_version(word, kept)))
            return true;
    }
    return slot_version(word) == version && (word & SLOT_CLOSING);
}

bool slot_stays(struct slot *slot, uint64_t ticket) {
    uint64_t word = slot_now(slot);
    while (slot_version(word) == ticket && (word & SLOT_CLOSING))
        if (atomic_compare_exchange_strong(&slot->word, &word,
                                           same_version(word, slot_what(SLOT_TCP, word & SLOT_SEEN))))
            return true;
    return false;
}

uint64_t slot_closed(struct slot *slot, uint64_t ticket) {
    uint64_t word = slot_now(slot);
    while (slot_version(word) == ticket && !(word & SLOT_BUSY)) {
        bool had_words = slot_kind(word) == SLOT_TCP || (word & SLOT_CLOSING);
        uint64_t what = slot_what(SLOT_OTHER, had_words ? SLOT_WAS_TCP : 0);
        if (atomic_compare_exchange_strong(&slot->word, &word, next_version(word, what)))
            return word;
    }
    return 0;
}

/* Which of the versions up to the latest were told of: the latest is bit 0. Of what is older it is not known. */
bool slot_tells(struct slot *slot, uint64_t ticket) {
    enum { BITS = VERSION };
    uint64_t told = atomic_load(&slot->told), next;
    do {
        uint64_t latest = told >> BITS, bits = told & FLAGS;
        if (ticket > latest) {
            uint64_t newer = ticket - latest;
            next = ticket << BITS | (((newer < BITS ? bits << newer : 0) | 1) & FLAGS);
        } else {
            uint64_t bit = latest - ticket < BITS ? 1ULL << (latest - ticket) : 0;
            if (bits & bit)
                return false;
            next = told | bit;
        }
    } while (!atomic_compare_exchange_strong(&slot->told, &told, next));
    return true;
}

void slot_forked(struct slot *slot) {
    uint64_t word = slot_now(slot);
    if (word & SLOT_BUSY)
        atomic_store(&slot->word, next_version(word, slot_what(SLOT_UNKNOWN, 0)));
}
