/* The ledger: a descriptor that is moved while somebody counts, and those who leave at one moment, each counting then.
 */
#define CLOSETRACE_LEDGER_BUCKETS 2
#define CLOSETRACE_LEDGER_PLACES  8
#include "model.h"

#include <stdlib.h>

#include "refs/ledger.c" // NOLINT(bugprone-suspicious-include): the code itself

enum { COOKIE = 2, PROCESSES = 3, OLD_FD = 5, NEW_FD = 6 };

static struct shared {
    struct ledger ledger;
    unsigned alone; /* who left, and found that nobody stays */
} shared;
static unsigned holders; /* the first so many processes have the socket */

bool process_table_is_odd(void) {
    return false;
}

int process_id(void) {
    return (int)model_self() + 1;
}

static uint32_t who_of(unsigned process) {
    return who_at(process + 1, shared.ledger.places[process + 1]);
}

static void begin(void) {
    ledger = &shared.ledger;
    for (unsigned p = 0; p < PROCESSES; p++)
        shared.ledger.places[p + 1] = 1ULL << 32 | (p + 1);
    for (unsigned p = 0; p < holders; p++)
        put_in(COOKIE, holder_of(who_of(p), OLD_FD));
}

/* What the socket's own bucket has no room for strays. */
static void begin_full(void) {
    begin();
    for (unsigned r = holders; r < BUCKET_RECORDS; r++)
        put_in(COOKIE + 2, holder_of(who_of(2), (int)r));
}

/* As references_from_ledger() does it: once more, where something has changed meanwhile. */
static unsigned count_staying_others(void) {
    unsigned count;
    uint64_t changes;
    do {
        struct ledger_cursor cursor = {0};
        struct ledger_reference it;
        changes = ledger_changes(COOKIE);
        for (count = 0; ledger_next(COOKIE, &cursor, &it);)
            count += !it.leaving && it.pid != process_id();
    } while (ledger_changes(COOKIE) != changes);
    return count;
}

static void move(void) {
    put_in(COOKIE, holder_of(who_of(0), NEW_FD));
    take_out(COOKIE, holder_of(who_of(0), OLD_FD));
}

static void find_it(void) {
    MODEL_CHECK(count_staying_others() > 0);
}

static void leave_by_exit(void) {
    mark_place(who_of(model_self()), true);
    shared.alone += count_staying_others() == 0;
}

static void leave_by_close(void) {
    take_out(COOKIE, holder_of(who_of(model_self()), OLD_FD));
    shared.alone += count_staying_others() == 0;
}

static void leave_by_exec(void) {
    self_who = who_of(model_self()); /* no step lies between this and its last use */
    uint64_t stays = holder_of(self_who, OLD_FD);
    unsigned distance;
    struct record *record = find_record(COOKIE, stays, &distance);
    if (exchange_record(record, COOKIE, stays, COOKIE, stays | LEAVING))
        changed(COOKIE);
    shared.alone += count_staying_others() == 0;
}

static unsigned count_strays(void) {
    unsigned strays = 0;
    for (unsigned b = 0; b < BUCKETS; b++)
        for (unsigned r = 0; r < BUCKET_RECORDS; r++) {
            uint64_t cookie = shared.ledger.buckets[b].records[r].cookie;
            strays += cookie && home_of(cookie) == home_of(COOKIE) && b != home_of(COOKIE);
        }
    return strays;
}

/* Who dies in mid-update leaves the number of strays too high, never too low. */
static void strays_are_known(void) {
    MODEL_CHECK(shared.ledger.buckets[home_of(COOKIE)].strays >= count_strays());
}

static void one_was_last(void) {
    MODEL_CHECK(shared.alone > 0);
}

static void model(const char *name, unsigned with, void (*start)(void), void (*one)(void), void (*two)(void),
                  void (*three)(void), void (*end)(void), unsigned breaks, unsigned deaths) {
    holders = with;
    model_run(&(struct model){.name = name,
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = start,
                              .actors = {one, two, three},
                              .end = end,
                              .breaks = breaks,
                              .deaths = deaths});
}

int main(void) {
    model("ledger: a descriptor is moved while it is counted", 1, begin, move, find_it, NULL, NULL, 0, 0);
    model("ledger: the same, where there is no room in its bucket", 1, begin_full, move, find_it, NULL, NULL, 0, 0);
    model("ledger: an exit and a close", 2, begin, leave_by_exit, leave_by_close, NULL, one_was_last, 0, 0);
    model("ledger: two exits", 2, begin, leave_by_exit, leave_by_exit, NULL, one_was_last, 0, 0);
    model("ledger: an exec and an exit", 2, begin, leave_by_exec, leave_by_exit, NULL, one_was_last, 0, 0);
    model("ledger: an exit, a close and an exec", 3, begin, leave_by_exit, leave_by_close, leave_by_exec, one_was_last,
          2, 0);
    model("ledger: who dies while he moves a descriptor that strays", 1, begin_full, move, move, NULL, strays_are_known,
          0, 1);
    return 0;
}
