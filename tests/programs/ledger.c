/*
 * References across processes where counting is hard: a holder that was killed, one that has no hooks, a great many
 * sockets, no memory, no /proc.
 */
#include "pair.h"

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
    {"holder-killed", holder_killed},
    {"holder-lives", holder_lives},
    {"holder-without-hooks", holder_without_hooks},
    {"many-children", many_children},
    {"many-sockets", many_sockets},
    {"no-proc", no_proc},
    {"plain", plain},
    {0},
};

int main(int argc, char **argv) {
    return play_scene(scenes, argc, argv);
}
