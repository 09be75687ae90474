/*
 * The command's sleep, and what ends it. While it sleeps long it has said so in the session's memory: whoever writes
 * something there then wakes it. A thread waits for that, and turns it into something that epoll knows. The memory is
 * anybody's: what stands there may wake the command in vain, or not wake it, and then it wakes up by itself.
 */
#ifndef CLOSETRACE_WAKER_H
#define CLOSETRACE_WAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pure/session_layout.h"

struct waker {
    struct session *session;
    int bell;                /* an eventfd: readable where something is to be looked at */
    bool by_thread;          /* false: none is to be had, and nobody wakes the command */
    _Atomic uint32_t wanted; /* the thread is to wait for a writer */
};

/* bell goes into that epoll, with the tag. The thread is started by waker_start(), when the program has been. */
bool waker_begin(struct waker *waker, struct session *session, int epoll, uint64_t tag);
void waker_start(struct waker *waker);

/* From now on writers wake the command. False: they do not, and it has to look by itself. */
bool waker_arm(struct waker *waker);
/* It is awake, and looks. */
void waker_disarm(struct waker *waker);

/* Wakes it; from any thread. */
void waker_ring(const struct waker *waker);
/* The bell was heard. */
void waker_heard(const struct waker *waker);

#endif
