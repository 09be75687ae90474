/*
 * Descriptors: how far they go and who has which number; sweeps over all of them; and a program that changes its root
 * and its user. What is told must be the same with the library and without.
 */
#include "pair.h"
#include "unseen.h"

#include <dirent.h>
#include <grp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

static void limit_to(rlim_t soft, rlim_t hard) {
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){soft, hard}));
}

/* Opens and closes connections, so that whatever the library holds for that, it has. */
static void play_rounds(int count) {
    for (int i = 0; i < count; i++) {
        struct pair pair = quiet_pair(AF_INET);
        MUST(close(MUST(dup(pair.c))));
        MUST(shutdown(pair.c, SHUT_WR));
        MUST(close(pair.c));
        MUST(close(pair.s));
    }
}

/* Again after what was done: they are still told. */
static int play_last(void) {
    struct pair pair = make_pair();
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    return 0;
}

/* Descriptors up to the limit: the numbers, and where they end. */
static void tell_numbers(void) {
    int first = -1, last = -1, count = 0, gaps = 0;
    for (int fd; (fd = dup(0)) >= 0; count++) {
        if (first < 0)
            first = fd;
        else if (fd != last + 1)
            gaps++;
        last = fd;
    }
    tell("from %d to %d: %d, %d gaps, then %s", first, last, count, gaps, strerrorname_np(errno));
    for (int fd = first; fd <= last; fd++)
        close(fd);
}

/* numbers SOFT HARD: the limits. */
static int numbers(char **arguments) {
    limit_to((rlim_t)atol(arguments[0]), (rlim_t)atol(arguments[1]));
    tell_numbers();
    play_rounds(2);
    tell_numbers();
    return play_last();
}

/* raised SOFT HARD: the limit is raised to the hard one when the library has its descriptors already. */
/* The hard limit stays: where it is no higher, our descriptors have no place but at the top of the program's. */
static int raised(char **arguments) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit_to((rlim_t)atol(arguments[0]), limit.rlim_max);
    play_rounds(2);
    limit_to((rlim_t)atol(arguments[1]), limit.rlim_max);
    tell_numbers();
    return play_last();
}

/* Started with a limit that high, and nothing done yet. */
static int started(char **arguments) {
    char count[2][32];
    (void)arguments;
    for (int i = 0; i < 2; i++)
        snprintf(count[i], sizeof count[i], "%s", arguments[i]);
    limit_to((rlim_t)atol(count[0]), (rlim_t)atol(count[1]));
    execl("/proc/self/exe", "safety_place", "numbers", count[0], count[1], (char *)NULL);
    return 99;
}

/* The limit is what is in use: everything that wants a number fails, and what gives one up does not. */
static int exhausted(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair(), other = quiet_pair(AF_INET);
    int listener = listen_on_loopback(AF_INET, 1), client = connect_to(listener), ends[2];
    char name[64];
    int lowest = MUST(dup(0));
    MUST(close(lowest));
    limit_to((rlim_t)lowest, 4096);
#define REFUSED(call)                                               \
    do {                                                            \
        int refused = (call);                                       \
        tell("%s = %d %s", #call, refused, strerrorname_np(errno)); \
    } while (0)
    REFUSED(dup(pair.c));
    REFUSED(dup2(pair.c, lowest));
    REFUSED(fcntl(pair.c, F_DUPFD, 0));
    REFUSED(socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(accept(listener, NULL, NULL));
    REFUSED(open("/dev/null", O_RDONLY));
    REFUSED(pipe(ends));
    MUST(shutdown(other.c, SHUT_WR));
    MUST(close(other.c));
    tell("then %d", accept(listener, NULL, NULL));
    REFUSED(dup(0));
    MUST(close(other.s));
    tell("then %d", dup(0));
    REFUSED(dup(0));
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    MUST(close(client));
    snprintf(name, sizeof name, "/proc/self/fd/%d", listener);
    tell("listener there: %d", access(name, F_OK));
    return 0;
}

/* ---- sweeps ---- */

static void leaving_by_numbers(void) {
    for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX); fd++)
        close(fd);
}

static void leaving_with_close_range(void) {
    MUST(close_range(3, ~0U, 0));
}

static void leaving_by_range_number(void) {
    MUST(syscall(SYS_close_range, 3, ~0U, 0));
}

static void leaving_with_closefrom(void) {
    closefrom(3);
}

/* What is found in one pass. Returns how much that was. */
static int leaving_what_is_found(void) {
    int found[256], count = 0;
    DIR *directory = opendir("/proc/self/fd");
    EXPECT(directory);
    for (struct dirent *entry; (entry = readdir(directory)) && count < 256;) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(directory))
            found[count++] = fd;
    }
    EXPECT(closedir(directory) == 0);
    for (int i = 0; i < count; i++)
        close(found[i]);
    return count;
}

static void leaving_once(void) {
    leaving_what_is_found();
}

static void leaving_until_empty(void) {
    int passes = 0;
    while (leaving_what_is_found() > 0)
        EXPECT(passes++ < 1000);
}

/* While the directory is read. */
static void leaving_as_it_is_read(void) {
    DIR *directory = opendir("/proc/self/fd");
    EXPECT(directory);
    int closed = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(directory))
            close(fd);
        EXPECT(closed++ < 100000);
    }
    EXPECT(closedir(directory) == 0);
}

static void leaving_downwards(void) {
    for (int fd = (int)sysconf(_SC_OPEN_MAX) + 70; fd > 2; fd--)
        close(fd);
}

/* Something of the program's own at every number, one after the other: then at all of them at once. */
static void leaving_by_duplicates(void) {
    int limit = (int)sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < limit; fd++) {
        EXPECT(dup2(0, fd) == fd);
        MUST(close(fd));
    }
    for (int fd = 3; fd < limit; fd++)
        EXPECT(dup3(0, fd, O_CLOEXEC) == fd);
    for (int fd = 3; fd < limit; fd++)
        MUST(close(fd));
}

static void leaving_unseen(void) {
    unseen(SYS_close_range, 3, ~0U, 0);
}

static const struct way {
    const char *name;
    void (*sweep)(void);
} ways[] = {
    {"numbers", leaving_by_numbers},
    {"close_range", leaving_with_close_range},
    {"by-number", leaving_by_range_number},
    {"closefrom", leaving_with_closefrom},
    {"once", leaving_once},
    {"until-empty", leaving_until_empty},
    {"as-read", leaving_as_it_is_read},
    {"downwards", leaving_downwards},
    {"duplicates", leaving_by_duplicates},
    {"unseen", leaving_unseen},
};

/* sweep WAY SOFT HARD: three times, with connections open before and events after each. */
static int sweep(char **arguments) {
    limit_to((rlim_t)atol(arguments[1]), (rlim_t)atol(arguments[2]));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(ways[i].name, arguments[0]) != 0)
            continue;
        for (int turn = 0; turn < 3; turn++) {
            play_rounds(1);
            quiet_pair(AF_INET);
            ways[i].sweep();
            int lowest = MUST(dup(0));
            tell("%s: lowest %d", arguments[0], lowest);
            MUST(close(lowest));
        }
    }
    return play_last();
}

/* What close() of each number says, and dup2() over each. */
static int results(char **arguments) {
    long soft = atol(arguments[0]), hard = atol(arguments[1]);
    limit_to((rlim_t)soft, (rlim_t)hard);
    play_rounds(2);
    int bad = 0, good = 0;
    for (int fd = 3; fd < soft; fd++)
        *(close(fd) == 0 ? &good : &bad) += 1;
    tell("close: %d went well, %d did not", good, bad);
    return play_last();
}

/* ---- what is there besides the program's own ---- */

/* Prints the kinds of descriptors from 3 on: close-on-exec or not. */
static int own(char **arguments) {
    (void)arguments;
    play_rounds(2);
    int more = 0, inherited_by_exec = 0, low = 0;
    for (int fd = 3; fd < 70000; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0)
            continue;
        more++;
        low += fd < 100;
        inherited_by_exec += !(flags & FD_CLOEXEC);
    }
    tell("MORE=%d", more);
    tell("LOW=%d", low);
    tell("INHERITED=%d", inherited_by_exec);
    return 0;
}

static int descriptors(char **arguments) {
    (void)arguments;
    for (int fd = 3; fd < 70000; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            tell("%d is open", fd);
    tell("that is all");
    return 0;
}

/* Programs that are started have nothing of ours: they are without the library, and tell what they find. */
static int started_programs(char **arguments) {
    static char *nothing[] = {NULL}, *words[] = {"safety_place", "descriptors", NULL};
    (void)arguments;
    int status = -1;
    pid_t child;
    play_rounds(2);
    child = MUST(fork());
    if (child == 0) {
        play_rounds(1);
        execve("/proc/self/exe", words, nothing);
        _exit(99);
    }
    MUST(waitpid(child, &status, 0));
    tell("%d", status);
    child = MUST(vfork()); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0) {
        execve("/proc/self/exe", words, nothing);
        _exit(99);
    }
    MUST(waitpid(child, &status, 0));
    tell("%d", status);
    MUST(-posix_spawn(&child, "/proc/self/exe", NULL, NULL, words, nothing));
    MUST(waitpid(child, &status, 0));
    tell("%d", status);
    execve("/proc/self/exe", words, nothing);
    return 99;
}

/* Something of the program's own that has another end, at which nothing may arrive. */
static struct pair make_kind(const char *kind) {
    struct pair pair;
    int ends[2];
    if (strcmp(kind, "tcp") == 0)
        return quiet_pair(AF_INET);
    if (strcmp(kind, "pipe") == 0)
        MUST(pipe2(ends, O_NONBLOCK));
    else
        MUST(socketpair(AF_UNIX, strcmp(kind, "dgram") == 0 ? SOCK_DGRAM : SOCK_STREAM, 0, ends));
    pair.s = ends[0];
    pair.c = ends[1];
    return pair;
}

static bool nothing_came(int fd) {
    char byte;
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    return read(fd, &byte, 1) == -1 && errno == EAGAIN;
}

/* taken KIND LIMIT: unseen, the program puts something of its own where ours stand, far above all that it uses. */
static int taken(char **arguments) {
    enum { MINE = 512 };
    int limit = atoi(arguments[1]);
    limit_to((rlim_t)limit, (rlim_t)limit);
    play_rounds(1);
    struct pair mine = make_kind(arguments[0]);
    for (int fd = MINE; fd < limit; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            EXPECT(unseen(SYS_dup3, mine.c, fd, O_CLOEXEC) == fd);
    struct pair pair = make_pair();
    MUST(close(pair.c));
    EXPECT(nothing_came(mine.s));
    tell_end(pair.s);
    MUST(close(pair.s));
    EXPECT(nothing_came(mine.s));
    return 0;
}

/* ---- root and user ---- */

/* unprivileged DIRECTORY: its new root. A holder that it may not look at has its connection. */
static int unprivileged(char **arguments) {
    struct pair pair = make_pair();
    int go[2];
    char byte;
    MUST(pipe(go));
    pid_t holder = MUST(fork());
    if (holder == 0) {
        MUST(close(pair.s));
        EXPECT(read(go[0], &byte, 1) == 1);
        MUST(close(pair.c));
        _exit(0);
    }
    struct pair other = quiet_pair(AF_INET);
    introduce("C1", other.c);
    introduce("S1", other.s);
    MUST(chroot(arguments[0]));
    MUST(chdir("/"));
    MUST(setgroups(0, NULL));
    MUST(setgid(65534));
    MUST(setuid(65534));
    EXPECT(open("/proc/self/fd", O_RDONLY) < 0 && setuid(0) < 0);
    MUST(close(other.c));
    MUST(close(other.s));
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    EXPECT(write(go[1], "", 1) == 1);
    int status = -1;
    MUST(waitpid(holder, &status, 0));
    tell("holder ended with %d", status);
    tell_end(pair.s);
    MUST(close(pair.s));
    /* a child there is told of too */
    pid_t child = MUST(fork());
    if (child == 0) {
        play_rounds(1);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    tell("child ended with %d", status);
    play_rounds(1);
    DIR *root = opendir("/");
    int entries = 0;
    while (root && readdir(root))
        entries++;
    tell("files in the new root: %d", entries);
    return 0;
}

/* The same, and the new user has the root that it had: processes are there, and cannot be looked into. */
static int other_user(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int go[2];
    char byte;
    MUST(pipe(go));
    pid_t holder = MUST(fork());
    if (holder == 0) {
        MUST(close(pair.s));
        EXPECT(read(go[0], &byte, 1) == 1);
        _exit(close(pair.c));
    }
    MUST(setgroups(0, NULL));
    MUST(setresgid(65534, 65534, 65534));
    MUST(setresuid(65534, 65534, 65534));
    int copy = MUST(dup(pair.c));
    MUST(close(copy));
    MUST(close(pair.c));
    EXPECT(write(go[1], "", 1) == 1);
    tell_end(pair.s);
    MUST(close(pair.s));
    int status = -1;
    MUST(waitpid(holder, &status, 0));
    tell("%d", status);
    return 0;
}

/* A bit of everything, and connections that are open at the end. */
static int nothing_left(char **arguments) {
    (void)arguments;
    play_rounds(3);
    quiet_pair(AF_INET);
    int status = -1;
    pid_t child = MUST(fork());
    if (child == 0) {
        play_rounds(1);
        abort();
    }
    MUST(waitpid(child, &status, 0));
    tell("%d", WTERMSIG(status));
    return 0;
}

SCENES({"numbers", numbers}, {"raised", raised}, {"started", started}, {"exhausted", exhausted}, {"sweep", sweep},
       {"results", results}, {"own", own}, {"descriptors", descriptors}, {"started-programs", started_programs},
       {"unprivileged", unprivileged}, {"other-user", other_user}, {"taken", taken}, {"nothing-left", nothing_left})
