#define _GNU_SOURCE
#include "own_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "process.h"
#include "seccomp_guard.h"

/* A descriptor table grows to its highest number, and every fork copies it: so not higher than this. */
enum { HIGHEST = 16384, ROOM = 64, OWN_ROOM = 8, MOVES_MAX = 64, GUEST_MOVES_MAX = 8 };

struct owned {
    _Atomic int fd; /* plus one, so that zeroed memory means none */
    uint64_t device, inode;
};

static struct owned owned[OWN_COUNT];

/* fd: plus one, as above; below 0: the place is being filled. */
struct guest {
    _Atomic int fd;
    _Atomic int moves;
};

static struct guest guests[OWN_GUESTS];
static _Atomic int guests_end;
static _Atomic int guests_lowest; /* minus one of the lowest number that a guest ever had; 0: there was none */
static atomic_uint moves;

static void drop(int fd) {
    probe(SYS_close, fd, 0, 0, 0, 0, 0);
}

static bool remember(struct owned *own, int fd) {
    struct stat status;
    if (probe(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) < 0)
        return false;
    own->device = status.st_dev;
    own->inode = status.st_ino;
    atomic_store(&own->fd, fd + 1);
    return true;
}

static long duplicate_from(int fd, unsigned long lowest) {
    return probe(SYS_fcntl, fd, F_DUPFD_CLOEXEC, (long)lowest, 0, 0, 0);
}

static long set_limit(const struct rlimit *limit, struct rlimit *old) {
    return probe(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)limit, (long)old, 0, 0);
}

/*
 * Above the soft limit, where the program can make no descriptor: the limit is raised for the moment of one
 * fcntl. Whoever changes it meanwhile (another thread) wins: their value is put back.
 */
static long with_raised_limit(const struct rlimit *limit, rlim_t room, long call, long a, long b, long c) {
    struct rlimit raised = {.rlim_cur = limit->rlim_cur + room, .rlim_max = limit->rlim_max};
    struct rlimit found;
    if (raised.rlim_cur > limit->rlim_max || set_limit(&raised, NULL) < 0)
        return -EMFILE;
    long result = probe(call, a, b, c, 0, 0, 0);
    if (set_limit(limit, &found) == 0 && found.rlim_cur != raised.rlim_cur)
        set_limit(&found, NULL);
    return result;
}

long own_open(long call, long a, long b, long c) {
    struct rlimit limit;
    long fd = probe(call, a, b, c, 0, 0, 0);
    return fd == -EMFILE && set_limit(NULL, &limit) == 0 ? with_raised_limit(&limit, ROOM, call, a, b, c) : fd;
}

static long duplicate_high(int fd) {
    struct rlimit limit;
    if (set_limit(NULL, &limit) < 0)
        return duplicate_from(fd, HIGHEST - ROOM);
    long high = -1;
    if (limit.rlim_cur <= HIGHEST)
        high = with_raised_limit(&limit, ROOM, SYS_fcntl, fd, F_DUPFD_CLOEXEC, (long)limit.rlim_cur);
    unsigned long top = limit.rlim_cur < HIGHEST ? limit.rlim_cur : HIGHEST;
    for (unsigned long back = 1; high < 0 && back <= top; back *= 2)
        high = duplicate_from(fd, top - back);
    return high;
}

int own_adopt(enum own_descriptor which, int fd) {
    long high = duplicate_high(fd);
    drop(fd);
    if (high < 0)
        return -1;
    if (!remember(&owned[which], (int)high)) {
        drop((int)high);
        return -1;
    }
    return (int)high;
}

bool own_holds(enum own_descriptor which) {
    return atomic_load(&owned[which].fd) > 0;
}

int own_descriptor(enum own_descriptor which) {
    struct stat status;
    return own_descriptor_status(which, &status);
}

int own_descriptor_status(enum own_descriptor which, struct stat *status) {
    struct owned *own = &owned[which];
    int fd = atomic_load(&own->fd) - 1;
    if (fd < 0)
        return -1;
    if (probe(SYS_fstat, fd, (long)status, 0, 0, 0, 0) == 0 && status->st_ino == own->inode &&
        status->st_dev == own->device)
        return fd;
    if (!sandbox_up && !process_is_borrowed())
        atomic_store(&own->fd, 0);
    return -1;
}

void own_move_up(void) {
    for (int which = 0; which < OWN_COUNT; which++) {
        int fd = process_is_borrowed() ? -1 : own_descriptor((enum own_descriptor)which);
        struct rlimit limit;
        if (fd >= 0 && set_limit(NULL, &limit) == 0 && (rlim_t)fd < limit.rlim_cur && fd < HIGHEST - ROOM)
            own_adopt((enum own_descriptor)which, fd);
    }
}

static enum own_descriptor which_is(int fd) {
    int which = 0;
    while (which < OWN_COUNT && atomic_load_explicit(&owned[which].fd, memory_order_relaxed) != fd + 1)
        which++;
    return (enum own_descriptor)which;
}

static int guest_at(int fd) {
    if (fd < INT_MAX + atomic_load_explicit(&guests_lowest, memory_order_relaxed))
        return -1;
    for (int place = 0, limit = own_guests_end(); place < limit; place++)
        if (own_guest(place) == fd)
            return place;
    return -1;
}

bool own_is(int fd) {
    return fd >= 0 && (which_is(fd) != OWN_COUNT || guest_at(fd) >= 0);
}

int own_guests_end(void) {
    return atomic_load(&guests_end);
}

int own_guest(int place) {
    int fd = atomic_load_explicit(&guests[place].fd, memory_order_acquire);
    return fd > 0 ? fd - 1 : -1;
}

/* Above our own; where the hard limit leaves no room there, as high as there is room in the soft one's upper quarter.
 */
static long duplicate_for_guest(int fd) {
    struct rlimit limit;
    if (set_limit(NULL, &limit) < 0)
        return -EPERM;
    rlim_t top = limit.rlim_cur < HIGHEST ? limit.rlim_cur : HIGHEST;
    long base = (long)top + OWN_ROOM, high = -1;
    rlim_t room = OWN_ROOM + (rlim_t)own_guests_end() + ROOM;
    if (limit.rlim_cur > (rlim_t)base)
        high = duplicate_from(fd, (unsigned long)base);
    else if (limit.rlim_max > (rlim_t)base)
        high =
            with_raised_limit(&limit, room < limit.rlim_max - limit.rlim_cur ? room : limit.rlim_max - limit.rlim_cur,
                              SYS_fcntl, fd, F_DUPFD_CLOEXEC, base);
    for (rlim_t back = 1; high < 0 && back <= top / 4; back *= 2)
        high = duplicate_from(fd, top - back);
    return high;
}

static void settle_guest(struct guest *guest, int fd) {
    int below = fd - INT_MAX, seen = atomic_load(&guests_lowest);
    while (below < seen && !atomic_compare_exchange_weak(&guests_lowest, &seen, below))
        ;
    atomic_store(&guest->fd, fd + 1);
}

int own_keep(int fd) {
    for (int place = 0; place < OWN_GUESTS; place++) {
        int none = 0, end = atomic_load(&guests_end);
        struct guest *guest = &guests[place];
        if (atomic_load_explicit(&guest->fd, memory_order_relaxed) ||
            !atomic_compare_exchange_strong(&guest->fd, &none, -1))
            continue;
        while (place >= end && !atomic_compare_exchange_weak(&guests_end, &end, place + 1))
            ;
        long high = duplicate_for_guest(fd);
        if (high < 0) {
            atomic_store(&guest->fd, 0);
            return -1;
        }
        atomic_store(&guest->moves, 0);
        settle_guest(guest, (int)high);
        return place;
    }
    return -1;
}

int own_let_go(int place) {
    int fd = atomic_exchange(&guests[place].fd, 0) - 1;
    return fd;
}

/* To the lowest number that is free there: a loop that goes upwards has been there, so that it comes to an end. */
static void guest_makes_way(int place, int fd) {
    struct guest *guest = &guests[place];
    long other = atomic_fetch_add(&guest->moves, 1) < GUEST_MOVES_MAX ? duplicate_for_guest(fd) : -1;
    if (other >= 0)
        settle_guest(guest, (int)other);
}

static void guests_forked(void) {
    for (int place = 0, limit = own_guests_end(); place < limit; place++) {
        int fd = own_let_go(place);
        if (fd >= 0)
            drop(fd);
    }
}

/*
 * Downwards, and only so often: a program that closes all it finds in /proc/self/fd, in one pass or again and
 * again until nothing is left, comes to an end.
 */
void own_make_way(int fd) {
    enum own_descriptor which = which_is(fd);
    int place = which == OWN_COUNT ? guest_at(fd) : -1;
    if (place >= 0 && !process_is_borrowed())
        guest_makes_way(place, fd);
    if (which == OWN_COUNT || process_is_borrowed())
        return;
    struct owned *own = &owned[which];
    atomic_store(&own->fd, 0);
    if (which != OWN_LOG || atomic_fetch_add(&moves, 1) >= MOVES_MAX)
        return;
    for (int back = 1; back <= ROOM && fd - back > 2; back++) {
        long lower = duplicate_from(fd, (unsigned long)(fd - back));
        if (lower >= 0 && lower < fd) {
            remember(own, (int)lower);
            return;
        }
        if (lower >= 0)
            drop((int)lower);
    }
}

static bool is_first_in(int fd, unsigned first, unsigned last, int found) {
    return fd >= 0 && (unsigned)fd >= first && (unsigned)fd <= last && (found < 0 || fd < found);
}

int own_first_in(unsigned first, unsigned last) {
    int found = -1;
    for (int which = 0; which < OWN_COUNT; which++) {
        int fd = atomic_load(&owned[which].fd) - 1;
        if (is_first_in(fd, first, last, found))
            found = fd;
    }
    for (int place = 0, limit = own_guests_end(); place < limit; place++)
        if (is_first_in(own_guest(place), first, last, found))
            found = own_guest(place);
    return found;
}

void own_drop(enum own_descriptor which) {
    int fd = own_descriptor(which);
    if (fd < 0 || process_is_borrowed())
        return;
    atomic_store(&owned[which].fd, 0);
    drop(fd);
}

void own_forked(void) {
    own_drop(OWN_NETLINK);
    own_drop(OWN_WAKE);
    guests_forked();
}
