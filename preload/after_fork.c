#include "after_fork.h"

#include <stdbool.h>
#include <stddef.h>

#include "kernel/sock_diag.h"
#include "faults/fault.h"
#include "refs/ledger.h"
#include "refs/odd_tables.h"
#include "output/log.h"
#include "calls/forking.h"
#include "faults/park.h"
#include "kernel/process.h"
#include "kernel/scratch.h"
#include "kernel/thread.h"
#include "session/session.h"
#include "output/sink.h"
#include "calls/leaving.h"
#include "refs/fd_table.h"
#include "calls/double_close.h"

/* This thread is inside daemon(), which was called from there. */
struct daemonizing {
    bool is;
    const void *caller;
};
THREAD_OWN(struct daemonizing, daemonizing)

static void put_right(void) {
    scratch_forked();
    leaving_forked();
    park_forked();
    diag_forked();
    fault_forked();
    sink_forked();
    session_forked();
    table_forked();
    double_close_forked();
}

void after_fork_started(void) {
    const bool strange = odd_table_forked();
    process_forked();
    if (strange)
        table_forget();
    if (!ledger_started_child())
        ledger_enter(table_inherit);
    put_right();
}

void after_fork_making(void) {
    ledger_forking(table_inherit);
}

void after_fork_made(int child) {
    ledger_forked(child);
    session_forked_child(child);
}

/* In a child that nobody told of: a raw clone. */
static void inherit_nothing(uint32_t who) {
    (void)who;
}

static void unseen(void) {
    ledger_enter(odd_table_is_parents() ? inherit_nothing : table_inherit);
    put_right();
}

void after_fork_daemonizing(const void *caller) {
    struct daemonizing *this = daemonizing();
    if (this)
        *this = (struct daemonizing){.is = true, .caller = caller};
}

void after_fork_daemonized(void) {
    struct daemonizing *this = daemonizing();
    if (this)
        this->is = false;
}

/* In the parent of a fork inside daemon(): _exit(0) comes next, out of our sight. */
static void parent_goes_on(void) {
    const struct daemonizing *this = daemonizing();
    if (!this || !this->is)
        return;
    struct call call = call_entering("daemon", this->caller);
    forked(forking(), -1, &call);
    leaving_end("daemon", this->caller, 0);
}

/* What pthread_atfork() calls. Not in every libc. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object)
    __attribute__((weak));
extern void *__dso_handle __attribute__((visibility("hidden")));

void after_fork_start(void) {
    call_in_unseen_child = unseen;
    __register_atfork(after_fork_making, parent_goes_on, after_fork_started, &__dso_handle);
}
