/*
 * Children in every way that there is, with connections open in the parent. The parent's own close comes last: it
 * must be told as if there had been no child.
 */
#include "pair.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>

extern char **environ;

static char *true_words[] = {"true", NULL};

static int reap(pid_t child) {
    int status = -1;
    MUST(waitpid(child, &status, 0));
    return status;
}

/* The parent still has what it had; and now it closes it, once. */
static int close_pair(struct pair pair) {
    EXPECT(!ended(pair.s) && !ended(pair.c));
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    return 0;
}

/* ---- vfork ---- */

// NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): it is what is tested

/* The child runs in the parent's memory: what it sets, the parent sees; what the parent had, is as it was. */
static __attribute__((noinline)) int vfork_with_locals(int a, int b, int c, int d, int e, int f) {
    volatile int set = 0;
    int before = errno = 4242;
    pid_t child = vfork();
    if (child == 0) {
        set = 1;
        _exit(a + b + c + d + e + f);
    }
    EXPECT(child > 0 && set == 1 && errno == before);
    int status = reap(child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == a + b + c + d + e + f);
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;
}

static int vfork_plainly(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    for (int i = 0; i < 100; i++)
        EXPECT(vfork_with_locals(i, 1, 2, 3, 4, 5) == i + 70);
    return close_pair(pair);
}

/* The child closes its copies, which takes nothing from the parent. */
static int vfork_closes(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    for (int i = 0; i < 50; i++) {
        pid_t child = MUST(vfork());
        if (child == 0) {
            close(pair.c);
            close(pair.s);
            _exit(0);
        }
        EXPECT(reap(child) == 0);
    }
    return close_pair(pair);
}

static int vfork_execs(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(fcntl(pair.c, F_SETFD, FD_CLOEXEC));
    for (int i = 0; i < 20; i++) {
        pid_t child = MUST(vfork());
        if (child == 0) {
            execv("/nonexistent/program", true_words);
            execv("/bin/true", true_words);
            _exit(1);
        }
        EXPECT(reap(child) == 0);
    }
    return close_pair(pair);
}

static volatile int order;

static _Noreturn void be_a_child_with_a_child(struct pair pair) {
    pid_t grandchild = vfork();
    if (grandchild == 0) {
        order = order * 10 + 1;
        close(pair.c);
        _exit(7);
    }
    order = order * 10 + 2;
    int status = -1;
    waitpid(grandchild, &status, 0);
    close(pair.s);
    _exit(WEXITSTATUS(status));
}

static int vfork_nested(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    for (int i = 0; i < 20; i++) {
        order = 0;
        pid_t child = MUST(vfork());
        if (child == 0)
            be_a_child_with_a_child(pair);
        order = order * 10 + 3;
        EXPECT(order == 123 && WEXITSTATUS(reap(child)) == 7);
    }
    return close_pair(pair);
}

static void die_with_a_child(void) {
    vfork();
    raise(SIGKILL); /* the grandchild, then the child */
}

/* Ended by a signal, the child has not told that it is gone. */
static int vfork_killed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    for (int i = 0; i < 20; i++) {
        pid_t child = MUST(vfork());
        if (child == 0)
            die_with_a_child();
        EXPECT(WTERMSIG(reap(child)) == SIGKILL);
    }
    return close_pair(pair);
}

/* No process to be had: errno says so. */
static int vfork_fails(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}));
    MUST(setresgid(65534, 65534, 65534));
    MUST(setresuid(65534, 65534, 65534));
    for (int i = 0; i < 3; i++) {
        errno = 4242;
        pid_t child = vfork();
        if (child == 0)
            _exit(0);
        tell("vfork=%d errno=%s", child, strerrorname_np(errno));
    }
    pid_t child = 99;
    tell("posix_spawn=%s child=%d", strerrorname_np(posix_spawn(&child, "/bin/true", NULL, NULL, true_words, environ)),
         child);
    errno = 4242;
    tell("fork=%d errno=%s", fork(), strerrorname_np(errno));
    errno = 4242;
    tell("system=%d errno=%s", system("true"), strerrorname_np(errno));
    return close_pair(pair);
}

/* Several threads at once, each with its child. */
static void *vfork_thread(void *pair_of_all) {
    struct pair *pair = pair_of_all;
    for (int i = 0; i < 50; i++) {
        pid_t child = MUST(vfork());
        if (child == 0) {
            close(pair->c);
            _exit(3);
        }
        EXPECT(WEXITSTATUS(reap(child)) == 3);
        int copy = MUST(dup(pair->c));
        MUST(close(copy));
    }
    return NULL;
}

static int vfork_threads(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        EXPECT(pthread_create(&threads[i], NULL, vfork_thread, &pair) == 0);
    for (int i = 0; i < 4; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    return close_pair(pair);
}

// NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)

/* ---- clone, by libc and by number ---- */

static char clone_stack[65536] __attribute__((aligned(16)));
static struct pair cloned;

static int close_copies(void *unused) {
    (void)unused;
    close(cloned.c);
    close(cloned.s);
    return 5;
}

static int clone_child(char **arguments) {
    (void)arguments;
    cloned = make_pair();
    for (int i = 0; i < 20; i++) {
        int flags = i % 2 ? CLONE_VM | CLONE_VFORK : 0;
        pid_t child = MUST(clone(close_copies, clone_stack + sizeof clone_stack, flags | SIGCHLD, NULL));
        EXPECT(WEXITSTATUS(reap(child)) == 5);
    }
    return close_pair(cloned);
}

/* In the parent's memory, and both go on. */
static int clone_in_our_memory(char **arguments) {
    (void)arguments;
    cloned = make_pair();
    for (int i = 0; i < 20; i++) {
        pid_t child = MUST(clone(close_copies, clone_stack + sizeof clone_stack, CLONE_VM | SIGCHLD, NULL));
        EXPECT(WEXITSTATUS(reap(child)) == 5);
    }
    return close_pair(cloned);
}

static int clone_by_number(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    for (int i = 0; i < 20; i++) {
        long child = i % 2 ? syscall(SYS_fork) : syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
        MUST(child);
        if (child == 0) {
            close(pair.c);
            close(pair.s);
            _exit(6);
        }
        EXPECT(WEXITSTATUS(reap((pid_t)child)) == 6);
    }
    return close_pair(pair);
}

/* ---- in a handler ---- */

static struct pair handled;
static volatile sig_atomic_t children;

static void fork_in_handler(int signal) {
    int saved = errno;
    (void)signal;
    pid_t child = MUST(_Fork());
    if (child == 0) {
        close(handled.c);
        close(handled.s);
        _exit(0);
    }
    EXPECT(reap(child) == 0);
    children++;
    errno = saved;
}

static int handler_forks(char **arguments) {
    (void)arguments;
    handled = make_pair();
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGVTALRM, &action, NULL));
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    unsigned turn = 0;
    for (long limit = now_ms() + LIMIT_MS; children < 50 && now_ms() < limit; turn++) {
        struct itimerspec soon = {.it_value.tv_nsec = 1000 * (20 + turn * 37 % 700)};
        MUST(timer_settime(timer, 0, &soon, NULL));
        struct pair pair = quiet_pair(AF_INET);
        MUST(close(MUST(dup(pair.c))));
        MUST(close(pair.c));
        MUST(close(pair.s));
    }
    MUST(timer_delete(timer));
    EXPECT(children >= 50);
    return close_pair(handled);
}

/* ---- fork while other threads are inside the library ---- */

static atomic_bool stop;

static void *busy_thread(void *unused) {
    (void)unused;
    while (!stop) {
        struct pair pair = quiet_pair(AF_INET);
        MUST(close(MUST(dup(pair.c))));
        MUST(shutdown(pair.c, SHUT_WR));
        MUST(close(pair.c));
        MUST(close(pair.s));
    }
    return NULL;
}

static int fork_among_threads(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        EXPECT(pthread_create(&threads[i], NULL, busy_thread, NULL) == 0);
    for (int i = 0; i < 60; i++) {
        pid_t child = MUST(i % 2 ? fork() : (int)syscall(SYS_fork));
        if (child == 0) {
            alarm(10);
            struct pair own = quiet_pair(AF_INET);
            MUST(close(own.c));
            MUST(close(own.s));
            MUST(close(pair.c));
            _exit(0);
        }
        EXPECT(reap(child) == 0);
    }
    stop = true;
    for (int i = 0; i < 4; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    return close_pair(pair);
}

/* ---- ended by SIGKILL, in the middle of anything ---- */

static _Noreturn void be_busy(struct pair pair) {
    for (;;) {
        int copy = dup(pair.c);
        pid_t child = fork();
        if (child == 0) {
            close(copy);
            _exit(0);
        }
        close(copy);
        waitpid(child, NULL, 0);
        struct pair own = quiet_pair(AF_INET);
        close(own.c);
        close(own.s);
    }
}

/* Whatever they have not finished, nobody waits for it, and the parent's verdicts are right. */
static int killed_anywhere(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1)); /* grandchildren too must be gone in the end */
    for (int i = 0; i < 30; i++) {
        pid_t children_of_ours[3];
        for (int j = 0; j < 3; j++) {
            children_of_ours[j] = MUST(fork());
            if (children_of_ours[j] == 0) {
                MUST(setpgid(0, 0));
                be_busy(pair);
            }
        }
        for (volatile int spin = 0; spin < i * 100000; spin++) /* a different moment each time */
            ;
        for (int j = 0; j < 3; j++) {
            kill(-children_of_ours[j], SIGKILL); /* and its child; none, if it has not come to setpgid() yet */
            MUST(kill(children_of_ours[j], SIGKILL));
            EXPECT(WTERMSIG(reap(children_of_ours[j])) == SIGKILL);
        }
        while (waitpid(-1, NULL, 0) > 0)
            ;
        MUST(close(MUST(dup(pair.c))));
    }
    return close_pair(pair);
}

/* ---- libc's own children ---- */

/* Prints the descriptors that it has: what posix_spawn()'s file actions left. */
static int descriptors(char **arguments) {
    (void)arguments;
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            tell("has %d", fd);
    return 0;
}

static int spawn_with_actions(char **arguments) {
    (void)arguments;
    static char *words[] = {"safety_children", "descriptors", NULL};
    static char *nothing[] = {NULL};
    struct pair pair = quiet_pair(AF_INET);
    char path[4096];
    pid_t child;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t blocked;
    ssize_t length = MUST(readlink("/proc/self/exe", path, sizeof path - 1));
    path[length] = '\0';
    MUST(-posix_spawn_file_actions_init(&actions));
    MUST(-posix_spawn_file_actions_adddup2(&actions, pair.c, 20));
    MUST(-posix_spawn_file_actions_addclose(&actions, pair.c));
    MUST(-posix_spawn_file_actions_addopen(&actions, 21, "/dev/null", O_RDONLY, 0));
    MUST(-posix_spawn_file_actions_addclosefrom_np(&actions, 21));
    MUST(-posix_spawn_file_actions_addopen(&actions, 25, "/dev/null", O_RDONLY, 0));
    MUST(-posix_spawnattr_init(&attributes));
    sigfillset(&blocked);
    MUST(-posix_spawnattr_setsigmask(&attributes, &blocked));
    MUST(-posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP));
    MUST(-posix_spawn(&child, path, &actions, &attributes, words, nothing));
    tell("spawned: %d", reap(child));
    MUST(-posix_spawnp(&child, "sh", &actions, NULL, (char *[]){"sh", "-c", "exit 3", NULL}, nothing));
    tell("spawned: %d", WEXITSTATUS(reap(child)));
    return 0;
}

static int by_libc(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char line[32] = "";
    EXPECT(WEXITSTATUS(system("exit 3")) == 3);
    FILE *stream = popen("echo from a child", "r");
    EXPECT(stream && fgets(line, sizeof line, stream) && strcmp(line, "from a child\n") == 0);
    EXPECT(pclose(stream) == 0);
    /* daemon(): the child ends in it, its own child goes on; when that has ended, the pipe has no writer any more */
    int ends[2];
    char byte;
    MUST(pipe(ends));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(daemon(1, 1));
        MUST(close(pair.c));
        MUST(close(pair.s));
        _exit(0);
    }
    MUST(close(ends[1]));
    EXPECT(reap(child) == 0);
    EXPECT(read(ends[0], &byte, 1) == 0);
    return close_pair(pair);
}

SCENES({"vfork-plainly", vfork_plainly}, {"vfork-closes", vfork_closes}, {"vfork-execs", vfork_execs},
       {"vfork-nested", vfork_nested}, {"vfork-killed", vfork_killed}, {"vfork-fails", vfork_fails},
       {"vfork-threads", vfork_threads}, {"clone-child", clone_child}, {"clone-in-our-memory", clone_in_our_memory},
       {"clone-by-number", clone_by_number}, {"handler-forks", handler_forks},
       {"fork-among-threads", fork_among_threads}, {"killed-anywhere", killed_anywhere}, {"descriptors", descriptors},
       {"spawn-with-actions", spawn_with_actions}, {"by-libc", by_libc})
