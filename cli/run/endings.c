#include "endings.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 8192, RATE_MAX = 4000, REST_MS = 2000 };

static struct {
    int netlink; /* -1: not listened to */
    bool possible;
    struct sighting list[KEPT]; /* by cookie */
    uint64_t second;
    unsigned in_second; /* how many came in it */
    uint64_t rests_until_ms;
} endings = {.netlink = -1};

static uint64_t now_in_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void endings_begin(void) {
    endings.netlink = destroyed_open();
    endings.possible = endings.netlink >= 0;
}

static void rest(uint64_t now_ms) {
    close(endings.netlink);
    endings.netlink = -1;
    endings.rests_until_ms = now_ms + REST_MS;
}

/* Each socket of the namespace is told of, and costs its owner a little. */
static bool are_too_many(uint64_t now_ms) {
    if (now_ms / 1000 != endings.second) {
        endings.second = now_ms / 1000;
        endings.in_second = 0;
    }
    return ++endings.in_second > RATE_MAX;
}

bool endings_look(bool wanted) {
    enum { MANY = 64 };
    const uint64_t now_ms = now_in_ms();
    struct sighting gone;
    unsigned came = 0;
    if (!endings.possible)
        return false;
    if (endings.netlink < 0 && (wanted || now_ms > endings.rests_until_ms))
        endings.netlink = destroyed_open();
    while (endings.netlink >= 0) {
        const enum destroyed_next next = destroyed_next(endings.netlink, &gone);
        if (next == DESTROYED_NONE)
            break;
        came++;
        if (next == DESTROYED_ONE)
            endings.list[gone.cookie % KEPT] = gone;
        if (are_too_many(now_ms) && !wanted)
            rest(now_ms);
    }
    return came > MANY;
}

const struct sighting *endings_of(uint64_t cookie) {
    const struct sighting *gone = &endings.list[cookie % KEPT];
    return gone->cookie == cookie && cookie ? gone : NULL;
}
