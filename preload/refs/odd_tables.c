#define _GNU_SOURCE
#include "odd_tables.h"

#include "fd_table.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "kernel/scratch.h"
#include "kernel/seccomp_guard.h"
#include "ledger.h"

static void leave_ledger(void) {
    for (int fd = 0, end = table_end(); fd < end; fd++) {
        struct identity identity;
        if (table_kind(fd) != SLOT_OTHER && table_find(fd, false, &identity))
            ledger_escaped(identity.cookie);
    }
}

void odd_table_shares(void) {
    leave_ledger();
    process_table_shared(true);
}

static bool has_other_threads(void) {
    OWN_SCRATCH *scratch = scratch_take();
    struct listing threads;
    const int self = process_thread_id();
    bool others = false;
    if (!scratch || listing_open(&threads, "/proc/self/task", scratch->entries) < 0)
        return true;
    for (int tid; !others && (tid = listing_next(&threads)) >= 0;)
        others = tid != self;
    listing_close(&threads);
    return others;
}

void odd_table_unshared(void) {
    if (process_is_borrowed())
        return;
    if (!has_other_threads()) {
        process_table_shared(false);
        return;
    }
    leave_ledger();
    process_table_private();
}

bool odd_table_forked(void) {
    const bool was_private = process_table_forked();
    process_table_shared(false);
    return was_private;
}

bool odd_table_is_parents(void) {
    const long parent = probe(SYS_getppid, 0, 0, 0, 0, 0, 0);
    const bool same = process_table_is_odd() && parent > 0 && process_tables_same((int)parent, process_id());
    process_table_shared(same);
    return same;
}
