/* A number of the descriptor table, and what the kernel has there: closed, got again and looked at, all at once. */
#define SLOT_WORDS 2
#define MODEL_RELAXED_STEPS
#include "model.h"

#include <stdlib.h>

#include "refs/fd_slot.c" // NOLINT(bugprone-suspicious-include): the code itself

/* What stands there in the kernel: nothing, two connections, a file. */
enum { NOTHING, FIRST, SECOND, A_FILE };

static struct shared {
    struct slot slot;
    _Atomic unsigned kernel;
    unsigned ended, told; /* calls that have closed the first connection's number, and those that tell of it */
} shared;

static void put(unsigned socket) {
    const uint64_t words[SLOT_WORDS] = {socket, socket};
    for (;;) {
        uint64_t word = slot_now(&shared.slot);
        if (word & SLOT_BUSY) {
            slot_spoil(&shared.slot, word);
            return;
        }
        uint64_t what = slot_what(socket == A_FILE ? SLOT_OTHER : SLOT_TCP, 0);
        if (slot_change(&shared.slot, &word, what, socket == A_FILE ? NULL : words))
            return;
    }
}

static void begin(void) {
    shared.kernel = FIRST;
    put(FIRST);
}

static void begin_unknown(void) {
    shared.kernel = FIRST;
}

/* As table_closing() does it, for the first connection; the kernel is asked where the slot does not say so. */
static bool take_ticket(uint64_t *ticket) {
    for (unsigned i = 0; i < 3; i++) {
        uint64_t words[SLOT_WORDS], word = slot_now(&shared.slot);
        if (slot_can_close(word) && slot_read(&shared.slot, word, words)) {
            MODEL_CHECK(words[0] == words[1]);
            *ticket = slot_version(word);
            if (words[0] == FIRST && slot_closing(&shared.slot, word))
                return true;
            continue;
        }
        if (atomic_load(&shared.kernel) != FIRST)
            return false;
        const uint64_t first[SLOT_WORDS] = {FIRST, FIRST};
        slot_change(&shared.slot, &word, slot_what(SLOT_TCP, 0), first);
    }
    return false;
}

/* close() fails where nothing is there; dup2() closes what is there. */
static void close_it(bool over) {
    uint64_t ticket;
    if (atomic_load(&shared.kernel) != FIRST || !take_ticket(&ticket))
        return;
    unsigned there = atomic_exchange(&shared.kernel, over ? A_FILE : NOTHING);
    if (there != NOTHING || over) {
        slot_closed(&shared.slot, ticket);
        shared.ended++;
        shared.told += slot_tells(&shared.slot, ticket);
    }
    if (over)
        put(A_FILE);
}

static void close_first(void) {
    close_it(false);
}

static void dup_over(void) {
    close_it(true);
}

static void accept_second(void) {
    unsigned nothing = NOTHING;
    if (atomic_compare_exchange_strong(&shared.kernel, &nothing, SECOND))
        put(SECOND);
}

static void open_file(void) {
    unsigned nothing = NOTHING;
    if (atomic_compare_exchange_strong(&shared.kernel, &nothing, A_FILE))
        put(A_FILE);
}

/* What is there is not known here, and is asked. */
static void learn(void) {
    uint64_t words[SLOT_WORDS] = {0}, word = slot_now(&shared.slot);
    if (slot_read(&shared.slot, word, words))
        MODEL_CHECK(words[0] == words[1]);
    const unsigned there = atomic_load(&shared.kernel);
    if ((slot_kind(word) == SLOT_TCP || (word & SLOT_CLOSING)) && there == words[0])
        return;
    words[0] = words[1] = there;
    if (there == A_FILE)
        slot_change(&shared.slot, &word, slot_what(SLOT_OTHER, 0), NULL);
    else if (there != NOTHING)
        slot_change(&shared.slot, &word, slot_what(SLOT_TCP, 0), words);
}

static void is_right(void) {
    uint64_t words[SLOT_WORDS], word = slot_now(&shared.slot);
    const bool tcp = shared.kernel == FIRST || shared.kernel == SECOND;
    MODEL_CHECK(!(word & SLOT_BUSY));
    MODEL_CHECK(!tcp || slot_kind(word) != SLOT_OTHER); /* or nobody would ask any more */
    if (slot_kind(word) == SLOT_TCP) {
        MODEL_CHECK(slot_read(&shared.slot, word, words) && words[0] == words[1]);
        MODEL_CHECK(!tcp || words[0] == shared.kernel);
    }
    MODEL_CHECK(shared.told == (shared.ended > 0));
}

static void model(const char *name, void (*start)(void), void (*one)(void), void (*two)(void), void (*three)(void),
                  unsigned breaks) {
    model_run(&(struct model){.name = name,
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = start,
                              .actors = {one, two, three},
                              .end = is_right,
                              .breaks = breaks});
}

int main(void) {
    model("fd_slot: closed by two", begin, close_first, close_first, NULL, 0);
    model("fd_slot: closed, and another put there", begin, close_first, dup_over, NULL, 0);
    model("fd_slot: closed, and got again", begin, close_first, accept_second, NULL, 0);
    model("fd_slot: closed and got again while it is looked at", begin, close_first, accept_second, learn, 0);
    model("fd_slot: the same, where it is not known at first", begin_unknown, close_first, accept_second, learn, 0);
    model("fd_slot: closed by two while it is looked at", begin, close_first, dup_over, learn, 0);
    model("fd_slot: a file comes to where it was looked at", begin, close_first, open_file, learn, 0);
    model("fd_slot: looked at by two while it is got again", begin_unknown, learn, close_first, accept_second, 0);
    return 0;
}
