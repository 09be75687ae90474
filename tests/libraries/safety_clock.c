/* Another library that fakes the clock, as faketime does: a program that asks for no time makes no call of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static int asked, waited;

int clock_gettime(clockid_t clock, struct timespec *time) {
    (void)clock;
    asked++;
    *time = (struct timespec){.tv_sec = 1000};
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    asked++;
    *time = (struct timeval){.tv_sec = 1000};
    return 0;
}

time_t time(time_t *time) {
    asked++;
    if (time)
        *time = 1000;
    return 1000;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
    (void)clock, (void)flags, (void)time, (void)left;
    waited++;
    return EINVAL;
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    (void)time, (void)left;
    waited++;
    errno = EINVAL;
    return -1;
}

__attribute__((destructor)) static void tell(void) {
    printf("asked %d waited %d\n", asked, waited);
    fflush(stdout);
}
