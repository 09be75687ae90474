#define _GNU_SOURCE
#include "slow_close.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MAX = 64, STACK_SIZE = 1 << 16 };

struct slow_close {
    int fd;
    atomic_bool over;
};

static unsigned under_way;

static void *close_it(void *context) {
    struct slow_close *slow = context;
    close(slow->fd);
    atomic_store(&slow->over, true);
    return NULL;
}

static bool lingers(int fd) {
    struct linger linger = {0};
    socklen_t size = sizeof linger;
    return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && linger.l_onoff && linger.l_linger > 0;
}

/* It takes no signals: they are for those who wait for them. */
static bool start_thread(struct slow_close *slow) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&thread, &attributes, close_it, slow) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

struct slow_close *close_slowly(int fd) {
    struct slow_close *slow = lingers(fd) && under_way < THREADS_MAX ? calloc(1, sizeof *slow) : NULL;
    if (slow) {
        slow->fd = fd;
        if (start_thread(slow)) {
            under_way++;
            return slow;
        }
        free(slow);
    }
    /* Where no thread is to be had: what leaves is the same without it, and at the same time. */
    if (lingers(fd))
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger));
    close(fd);
    return NULL;
}

bool slow_close_is_over(struct slow_close *slow) {
    if (!atomic_load(&slow->over))
        return false;
    under_way--;
    free(slow);
    return true;
}
