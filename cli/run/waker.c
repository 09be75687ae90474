#define _GNU_SOURCE
#include "waker.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static void futex_wait(_Atomic uint32_t *word, uint32_t as_long_as) {
    syscall(SYS_futex, word, FUTEX_WAIT, as_long_as, NULL, NULL, 0);
}

/* A writer takes the word away and wakes; the command takes it away and does not. */
static void *wait_for_writers(void *context) {
    struct waker *waker = context;
    for (;;) {
        while (!atomic_load(&waker->wanted))
            futex_wait(&waker->wanted, 0);
        while (atomic_load(&waker->session->asleep) == SESSION_ASLEEP)
            futex_wait(&waker->session->asleep, SESSION_ASLEEP);
        atomic_store(&waker->wanted, 0);
        waker_ring(waker);
    }
    return NULL;
}

bool waker_begin(struct waker *waker, struct session *session, int epoll, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    *waker = (struct waker){.session = session, .bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    return waker->bell >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, waker->bell, &event) == 0;
}

/* It takes no signals: they are for those who wait for them. */
void waker_start(struct waker *waker) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    waker->by_thread = pthread_create(&thread, NULL, wait_for_writers, waker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (waker->by_thread)
        pthread_detach(thread);
}

/* The thread may be waiting still, since the command was woken by something else. */
bool waker_arm(struct waker *waker) {
    if (!waker->by_thread || atomic_load(&waker->session->cannot_wake))
        return false;
    atomic_store(&waker->session->asleep, SESSION_ASLEEP);
    if (!atomic_exchange(&waker->wanted, 1))
        syscall(SYS_futex, &waker->wanted, FUTEX_WAKE, 1, NULL, NULL, 0);
    return true;
}

void waker_disarm(struct waker *waker) {
    if (waker->by_thread)
        atomic_store(&waker->session->asleep, 0);
}

void waker_ring(const struct waker *waker) {
    const uint64_t one = 1;
    const ssize_t unused = write(waker->bell, &one, sizeof one);
    (void)unused;
}

void waker_heard(const struct waker *waker) {
    uint64_t count;
    const ssize_t unused = read(waker->bell, &count, sizeof count);
    (void)unused;
}
