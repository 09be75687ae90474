/*
 * The stops of the test build (preload/kernel/stop.h), from the test's side: a program arms one, waits until a thread
 * is held there, lets others run, and lets it go on. The file of the stops is named in STOPS_FILE, and made here.
 */
#ifndef TESTS_PROGRAMS_STOPS_H
#define TESTS_PROGRAMS_STOPS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "kernel/stop.h"
#include "pair.h"

static struct stop *stops;

/* Before anything is traced that may come to a stop. */
LOCAL_HELPER void stops_open(void) {
    const char *path = getenv("STOPS_FILE");
    if (!path)
        skip("STOPS_FILE is not set: the stops are in the test build alone");
    int fd = MUST(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    MUST(ftruncate(fd, STOPS * sizeof *stops));
    stops = mmap(NULL, STOPS * sizeof *stops, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(stops != MAP_FAILED);
    MUST(close(fd));
}

/* The thread is called so: a stop may mean it alone. */
LOCAL_HELPER void stops_name_thread(const char *who) {
    MUST(prctl(PR_SET_NAME, who));
}

/* The next thread of that name (NULL: any) that comes to that place is held. */
LOCAL_HELPER struct stop *stop_arm(const char *name, const char *who) {
    for (int i = 0; i < STOPS; i++) {
        struct stop *stop = &stops[i];
        if (atomic_load(&stop->state) != STOP_OFF)
            continue;
        snprintf(stop->name, sizeof stop->name, "%s", name);
        snprintf(stop->who, sizeof stop->who, "%s", who ? who : "");
        atomic_store(&stop->state, STOP_ARMED);
        return stop;
    }
    fail("no stop is left");
}

LOCAL_HELPER void stop_await(struct stop *stop) {
    const struct timespec moment = {.tv_nsec = 100000000};
    for (int turn = 0; turn < 100 && atomic_load(&stop->state) == STOP_ARMED; turn++)
        syscall(SYS_futex, &stop->state, FUTEX_WAIT, STOP_ARMED, &moment, NULL, 0);
    if (atomic_load(&stop->state) != STOP_HELD)
        fail(stop->name);
}

LOCAL_HELPER void stop_open(struct stop *stop) {
    atomic_store(&stop->state, STOP_OPEN);
    syscall(SYS_futex, &stop->state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

#endif
