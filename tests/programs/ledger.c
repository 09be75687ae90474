/*
 * References across processes where counting is hard: a holder that was killed, one that has no hooks, a great many
 * sockets, no memory, no /proc.
 */
#include "pair.h"
#include "unseen.h"

#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void wait_until_gone(pid_t child) {
    int status;
    MUST(waitpid(child, &status, 0));
}

/* The child tells by a byte that it is there, and stays until it is killed. */
static pid_t child_that_stays(void) {
    int ready[2];
    char byte = 0;
    MUST(pipe(ready));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(write(ready[1], "", 1));
        for (;;)
            pause();
    }
    MUST(read(ready[0], &byte, 1));
    MUST(close(ready[0]));
    MUST(close(ready[1]));
    return child;
}

/*
 * A child has ended with the connection, and told of that. Its id comes to be another program's, which nobody here has
 * seen begin, and which has the connection by the same number.
 */
static int id_again(char **arguments) {
    (void)arguments;
    int end[2];
    struct pair pair = make_pair();
    MUST(pipe2(end, O_CLOEXEC));
    pid_t child = MUST(fork());
    if (child == 0)
        _exit(0);
    wait_until_gone(child);
    for (long later = now_ms() + 25; now_ms() < later;) /* two ticks of the clock by which /proc tells a start */
        pause_a_moment();
    struct clone_args again = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&child, .set_tid_size = 1};
    long made = unseen(SYS_clone3, (long)&again, sizeof again, 0);
    if (made == 0) {
        char *words[] = {"cat", NULL}, *none[] = {NULL};
        unseen(SYS_dup2, end[0], STDIN_FILENO, 0);
        unseen(SYS_execve, (long)"/bin/cat", (long)words, (long)none);
    }
    if (made < 0)
        skip("no process can be given a number here");
    EXPECT(made == child);
    tell("CHILD=%d", (int)child);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    MUST(close(end[1]));
    wait_until_gone(child);
    tell_end(pair.s);
    return 0;
}

static int holder_killed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    pid_t child = child_that_stays();
    MUST(kill(child, SIGKILL));
    wait_until_gone(child);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* We close C while the child has it; then the child is killed. */
static int close_before(pid_t child, struct pair pair) {
    tell("CHILD=%d", child);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    MUST(kill(child, SIGKILL));
    wait_until_gone(child);
    tell_end(pair.s);
    return 0;
}

static int holder_lives(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    pid_t child = child_that_stays();
    return close_before(child, pair);
}

/* The child goes on as a program into which nothing is preloaded, with the socket left open. */
static int holder_without_hooks(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int gone_on[2];
    char byte;
    MUST(pipe2(gone_on, O_CLOEXEC));
    pid_t child = MUST(fork());
    if (child == 0) {
        char *const words[] = {"sleep", "60", NULL}, *const nothing[] = {NULL};
        execve("/bin/sleep", words, nothing);
        _exit(1);
    }
    MUST(close(gone_on[1]));
    EXPECT(read(gone_on[0], &byte, 1) == 0); /* close-on-exec: the new program runs */
    return close_before(child, pair);
}

/* COUNT children are forked and end, one after the other, each with its references: nothing of theirs stays behind. */
static int many_children(char **arguments) {
    int count = atoi(arguments[0]);
    struct pair pair = make_pair();
    for (int i = 0; i < count; i++) {
        pid_t child = MUST(fork());
        if (child == 0)
            _exit(0);
        wait_until_gone(child);
    }
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* As many connections as COUNT, or as the limit allows; a child has them all, and ends. */
static int many_sockets(char **arguments) {
    struct rlimit limit;
    int count = atoi(arguments[0]);
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    if ((rlim_t)count > (limit.rlim_max - 100) / 2)
        count = (int)(limit.rlim_max - 100) / 2;
    struct pair *pairs = calloc((size_t)count, sizeof *pairs);
    EXPECT(pairs);
    for (int i = 0; i < count; i++)
        pairs[i] = quiet_pair(AF_INET);
    pid_t child = child_that_stays();
    tell("COUNT=%d", count);
    tell("CHILD=%d", child);
    for (int i = 0; i < count; i += 100)
        MUST(close(pairs[i].c));
    MUST(kill(child, SIGKILL));
    wait_until_gone(child);
    for (int i = 1; i < count; i += 100)
        MUST(close(pairs[i].c));
    free(pairs);
    _exit(0); /* what the kernel ends then is none of this test's business */
}

/* In a mount namespace of its own, from which /proc is taken away. */
static int no_proc(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(unshare(CLONE_NEWNS));
    MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    MUST(umount2("/proc", MNT_DETACH));
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* C is held by a child, we become another user, and /proc hides what is not ours. */
static int hidden_processes(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(unshare(CLONE_NEWNS));
    MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    if (mount("proc", "/proc", "proc", 0, "hidepid=2") != 0) {
        tell("SKIP=no /proc can be mounted here: %s", strerror(errno));
        return EXIT_SKIP;
    }
    pid_t child = child_that_stays();
    tell("CHILD=%d", child);
    MUST(setgroups(0, NULL));
    MUST(setresgid(65534, 65534, 0)); /* group 0 is shown everything */
    MUST(setresuid(65534, 65534, 0));
    char path[40];
    snprintf(path, sizeof path, "/proc/%d", child);
    EXPECT(access(path, F_OK) != 0);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    MUST(setresuid(0, 0, 0));
    MUST(kill(child, SIGKILL));
    wait_until_gone(child);
    tell_end(pair.s);
    return 0;
}

/* A child gives up and takes references all the time, and is killed in the middle of that: COUNT times. */
static int killed_in_update(char **arguments) {
    struct pair pair = make_pair();
    for (int i = 0, count = atoi(arguments[0]); i < count; i++) {
        int ready[2];
        char byte;
        MUST(pipe(ready));
        pid_t child = MUST(fork());
        if (child == 0) {
            MUST(write(ready[1], "", 1));
            for (;;)
                MUST(close(MUST(dup(pair.c))));
        }
        MUST(read(ready[0], &byte, 1));
        for (volatile int spin = i * 7919 % 100000; spin > 0; spin--)
            ; /* any moment is as good as another: each must end well */
        MUST(kill(child, SIGKILL));
        wait_until_gone(child);
        MUST(close(ready[0]));
        MUST(close(ready[1]));
        MUST(close(MUST(dup(pair.c))));
    }
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* As many sockets as a process may have; a child that has them all; some are closed; then both are killed. */
static void be_one_of_many(int ready, int go) {
    enum { SAMPLE = 4 };
    struct rlimit limit;
    char byte = 0;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int count = (int)((limit.rlim_max > 20000 ? 20000 : limit.rlim_max) - 100) / 2;
    struct pair *pairs = calloc((size_t)count, sizeof *pairs);
    EXPECT(pairs);
    int listener = listen_on_loopback(AF_INET, 8);
    for (int i = 0; i < count; i++) {
        pairs[i].c = connect_to(listener);
        pairs[i].s = MUST(accept(listener, NULL, NULL));
    }
    pid_t child = child_that_stays();
    MUST(write(ready, &count, sizeof count));
    MUST(read(go, &byte, 1)); /* until all are there */
    for (int i = 0; i < SAMPLE; i++)
        MUST(close(pairs[i * (count / SAMPLE)].c));
    MUST(kill(child, SIGKILL));
    wait_until_gone(child);
    for (int i = 0; i < SAMPLE; i++)
        MUST(close(pairs[i * (count / SAMPLE) + 1].c));
    MUST(write(ready, &count, sizeof count));
    MUST(kill(getpid(), SIGKILL));
}

/* COUNT processes, each with as many sockets as it may have. */
static int too_many_sockets(char **arguments) {
    int ready[2], go[2], each, sum = 0, processes = atoi(arguments[0]);
    alarm(300);
    MUST(pipe(ready));
    MUST(pipe(go));
    for (int i = 0; i < processes; i++)
        if (MUST(fork()) == 0)
            be_one_of_many(ready[1], go[0]);
    for (int i = 0; i < processes; i++) {
        MUST(read(ready[0], &each, sizeof each));
        sum += 2 * each;
    }
    tell("SOCKETS=%d", sum);
    for (int i = 0; i < processes; i++) {
        MUST(write(go[1], "", 1));
        MUST(read(ready[0], &each, sizeof each));
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}

/* A tree of processes with connections, which waits to be killed. */
static int tree(char **arguments) {
    (void)arguments;
    make_pair();
    child_that_stays();
    child_that_stays();
    int copy = dup(1);
    tell("READY=%d", copy);
    fflush(stdout);
    for (;;)
        pause();
    return 0;
}

static int plain(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

static const struct scene scenes[] = {
    {"id-again", id_again},
    {"holder-killed", holder_killed},
    {"holder-lives", holder_lives},
    {"holder-without-hooks", holder_without_hooks},
    {"many-children", many_children},
    {"many-sockets", many_sockets},
    {"no-proc", no_proc},
    {"hidden-processes", hidden_processes},
    {"killed-in-update", killed_in_update},
    {"too-many-sockets", too_many_sockets},
    {"tree", tree},
    {"plain", plain},
    {0},
};

int main(int argc, char **argv) {
    return play_scene(scenes, argc, argv);
}
