/*
 * Processes that share connections, become other programs, and end. The peer is a process of its own here (the
 * program that was started): it plays S, and outlives the subject.
 */
#include "pair.h"
#include "unseen.h"

#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>

extern char **environ;

/* ---- a child that shares the connection ---- */

static void wait_for(pid_t child) {
    int status;
    MUST(waitpid(child, &status, 0));
    if (status != 0)
        fail("the child has not gone as it should");
}

/* The parent closes first, then the child, which was forked with the connection open. */
static int forked_child_closes(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int go[2];
    char byte;
    MUST(pipe(go));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(close(pair.s));
        EXPECT(read(go[0], &byte, 1) == 1);
        EXPECT(state_of(pair.c) == TCP_ESTABLISHED);
        MUST(close(pair.c));
        _exit(0);
    }
    tell("CHILD=%d", child);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    EXPECT(write(go[1], "", 1) == 1);
    tell_end(pair.s);
    wait_for(child);
    return 0;
}

/* The child gives up its copy first, as a server's worker does: nobody loses anything by that. */
static int forked_parent_closes(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(close(pair.s));
        MUST(close(pair.c));
        _exit(0);
    }
    tell("CHILD=%d", child);
    wait_for(child);
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* A child made with system calls that no library can see (were it not for the kernel): clone(SIGCHLD). */
static int unseen_child(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int go[2];
    char byte;
    MUST(pipe(go));
    const pid_t child = MUST(fork_unseen());
    if (child == 0)
        unseen(SYS_exit_group, unseen(SYS_read, go[0], (long)&byte, 1) != 1, 0, 0);
    tell("CHILD=%d", child);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    EXPECT(write(go[1], "", 1) == 1);
    tell_end(pair.s);
    wait_for(child);
    return 0;
}

/* The holder belongs to root, the subject is nobody: it cannot read who holds what. other-user [unseen]: the fork. */
static int other_user(char **arguments) {
    struct pair pair = make_pair();
    int go[2];
    char byte;
    MUST(pipe(go));
    pid_t child = MUST(arguments[0] ? fork_unseen() : fork());
    if (child == 0) {
        MUST(unseen(SYS_close, pair.s, 0, 0));
        EXPECT(unseen(SYS_read, go[0], (long)&byte, 1) == 1);
        MUST(close(pair.c));
        _exit(0);
    }
    tell("CHILD=%d", child);
    MUST(setresgid(65534, 65534, 65534));
    MUST(setresuid(65534, 65534, 65534));
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    EXPECT(write(go[1], "", 1) == 1);
    tell_end(pair.s);
    wait_for(child);
    return 0;
}

/* Another program, started with posix_spawn(), has inherited C. It ends when its standard input does. */
static int spawned(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int input[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    MUST(pipe2(input, O_CLOEXEC));
    MUST(fcntl(pair.s, F_SETFD, FD_CLOEXEC));
    MUST(-posix_spawn_file_actions_init(&actions));
    MUST(-posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO));
    MUST(-posix_spawn(&child, "/bin/cat", &actions, NULL, (char *[]){"cat", NULL}, environ));
    tell("CHILD=%d", child);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(input[1]));
    tell_end(pair.s);
    wait_for(child);
    return 0;
}

/* ---- a subject with connections to another process ---- */

enum { DOZEN = 12 };

struct subject {
    int c[DOZEN];
    int count;
};

/*
 * Forks: the child returns with `count` connections made (of which nobody else has a descriptor) and goes on as
 * the subject. The parent is the peer: it accepts, lets the subject go on, reads every stream to its end, tells
 * RESULTS=eer... (end of stream, reset) in the order in which they were made, STATUS= or SIGNAL= of the subject, and
 * exits.
 */
static struct subject become_subject(int count) {
    int listener = listen_on_loopback(AF_INET, DOZEN);
    int accepted[2];
    char byte;
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    MUST(pipe2(accepted, O_CLOEXEC));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
        alarm(25);
        struct subject subject = {.count = count};
        for (int i = 0; i < count; i++) {
            char name[8];
            subject.c[i] = connect_to(listener);
            snprintf(name, sizeof name, "C%d", i + 1);
            introduce(count == 1 ? "C" : name, subject.c[i]);
        }
        MUST(close(listener));
        MUST(close(accepted[1]));
        EXPECT(read(accepted[0], &byte, 1) == 1);
        tell("SUBJECT=%d", getpid());
        return subject;
    }
    int s[DOZEN];
    for (int i = 0; i < count; i++) {
        s[i] = MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
        MUST(send(s[i], "unread", 6, 0)); /* the subject reads it where it is not to be reset */
    }
    MUST(close(listener));
    EXPECT(write(accepted[1], "", 1) == 1);

    char results[DOZEN + 1] = "";
    for (int i = 0; i < count; i++)
        results[i] = read_to_end(s[i]) ? 'e' : 'r';
    tell("RESULTS=%s", results);
    int status;
    MUST(waitpid(child, &status, 0));
    if (WIFSIGNALED(status))
        tell("SIGNAL=%d", WTERMSIG(status));
    else
        tell("STATUS=%d", WEXITSTATUS(status));
    while (wait(NULL) > 0) /* the subject's children are ours now */
        ;
    _exit(0);
}

static void read_greeting(int fd) {
    char text[6];
    EXPECT(recv(fd, text, sizeof text, MSG_WAITALL) == sizeof text);
}

/*
 * A dozen connections: 1 to 6 with all read, 7 to 9 with unread data, 10 with a lingering of 0, 11 shut down
 * before, 12 with a second descriptor. What leaves: nine FINs and four RSTs (11's FIN has left already).
 */
static struct subject dozen(void) {
    struct subject subject = become_subject(DOZEN);
    for (int i = 0; i < DOZEN; i++) {
        if (i < 6 || i > 8)
            read_greeting(subject.c[i]);
        else
            WAIT_UNTIL(unread_of(subject.c[i]) == 6);
    }
    linger(subject.c[9], 0);
    MUST(shutdown(subject.c[10], SHUT_WR));
    WAIT_UNTIL(state_of(subject.c[10]) == TCP_FIN_WAIT2);
    tell("DUP=%d", MUST(dup(subject.c[11])));
    return subject;
}

static int ending(char **arguments) {
    const char *how = arguments[0];
    MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    dozen();
    if (strcmp(how, "exit") == 0)
        exit(3);
    else if (strcmp(how, "_exit") == 0)
        _exit(3);
    else if (strcmp(how, "_Exit") == 0)
        _Exit(3);
    else if (strcmp(how, "quick_exit") == 0)
        quick_exit(3);
    else if (strcmp(how, "abort") == 0)
        abort();
    else if (strcmp(how, "raise") == 0)
        raise(SIGTERM);
    else if (strcmp(how, "SIGKILL") == 0)
        kill(getpid(), SIGKILL);
    EXPECT(strcmp(how, "return") == 0);
    return 3; /* from main */
}

static int to_close_late = -1;

static void close_late(void) {
    MUST(close(to_close_late));
}

/* A handler still closes one of two: that one is closed by close(), not by the exit. */
static int exit_handler(char **arguments) {
    (void)arguments;
    struct subject subject = become_subject(2);
    read_greeting(subject.c[0]);
    read_greeting(subject.c[1]);
    to_close_late = subject.c[0];
    EXPECT(atexit(close_late) == 0);
    exit(0);
}

/* Another process still holds it when this one exits. */
static int exit_while_shared(char **arguments) {
    (void)arguments;
    struct subject subject = become_subject(1);
    pid_t parent = getpid();
    read_greeting(subject.c[0]);
    pid_t child = MUST(fork());
    if (child == 0) {
        WAIT_UNTIL(getppid() != parent); /* gone, and its descriptors before it */
        EXPECT(state_of(subject.c[0]) == TCP_ESTABLISHED);
        MUST(close(subject.c[0]));
        _exit(0);
    }
    tell("CHILD=%d", child);
    _exit(0);
}

/* ---- exec ---- */

static char *own_path(void) {
    static char path[4096];
    ssize_t length = MUST(readlink("/proc/self/exe", path, sizeof path - 1));
    path[length] = '\0';
    return path;
}

static int exec_closes(char **arguments) {
    (void)arguments;
    struct subject subject = become_subject(1);
    read_greeting(subject.c[0]);
    MUST(fcntl(subject.c[0], F_SETFD, FD_CLOEXEC));
    MUST(execl("/bin/true", "true", (char *)NULL));
    return 1;
}

static int exec_closes_unread(char **arguments) {
    (void)arguments;
    struct subject subject = become_subject(1);
    WAIT_UNTIL(unread_of(subject.c[0]) == 6);
    MUST(fcntl(subject.c[0], F_SETFD, FD_CLOEXEC));
    MUST(execl("/bin/true", "true", (char *)NULL));
    return 1;
}

/* One descriptor is closed by the exec, the other goes on into the new program. */
static int exec_closes_one_of_two(char **arguments) {
    (void)arguments;
    struct subject subject = become_subject(1);
    read_greeting(subject.c[0]);
    int copy = MUST(dup(subject.c[0]));
    char number[16];
    snprintf(number, sizeof number, "%d", copy);
    tell("DUP=%d", copy);
    MUST(fcntl(subject.c[0], F_SETFD, FD_CLOEXEC));
    MUST(execl(own_path(), "process", "inheritor", number, (char *)NULL));
    return 1;
}

/* Left open: the new program has it, until it ends (or, told to, closes it). */
static int exec_keeps(char **arguments) {
    struct subject subject = become_subject(1);
    read_greeting(subject.c[0]);
    char number[16];
    snprintf(number, sizeof number, "%d", subject.c[0]);
    MUST(execl(own_path(), "process", "inheritor", number, arguments[0], (char *)NULL));
    return 1;
}

/* The program that exec_keeps() becomes. */
static int inheritor(char **arguments) {
    int fd = atoi(arguments[0]);
    EXPECT(state_of(fd) == TCP_ESTABLISHED);
    if (arguments[1] && strcmp(arguments[1], "close") == 0)
        MUST(close(fd));
    exit(0);
}

/* No such program: everything stays open. */
static int exec_fails(char **arguments) {
    (void)arguments;
    struct subject subject = become_subject(1);
    read_greeting(subject.c[0]);
    MUST(fcntl(subject.c[0], F_SETFD, FD_CLOEXEC));
    EXPECT(execl("/nonexistent/program", "program", (char *)NULL) < 0 && errno == ENOENT);
    EXPECT(state_of(subject.c[0]) == TCP_ESTABLISHED);
    MUST(close(subject.c[0]));
    _exit(0);
}

/* Looked for as a shell does it: most tries find nothing. WHERE: whose environment has the PATH. */
static int exec_along_path(char **arguments) {
    struct subject subject = become_subject(1);
    const bool own = strcmp(arguments[0], "own") == 0;
    char *const words[] = {(char *)"true", NULL};
    char *const environment[] = {(char *)"A=1", (char *)"PATH=/nonexistent/1:/nonexistent/2:/etc:/bin", NULL};
    read_greeting(subject.c[0]);
    MUST(fcntl(subject.c[0], F_SETFD, FD_CLOEXEC));
    MUST(setenv("PATH", own ? environment[1] + 5 : "/bin", 1));
    if (own)
        EXPECT(execv("/nonexistent/1/true", words) < 0 && errno == ENOENT);
    EXPECT(execve("/nonexistent/2/true", words, environment) < 0 && errno == ENOENT);
    EXPECT(execve("/etc/passwd", words, environment) < 0 && errno == EACCES);
    EXPECT(syscall(SYS_execve, "/etc/nonexistent", words, environment) < 0 && errno == ENOENT);
    if (own)
        EXPECT(execl("/etc/nonexistent", "true", (char *)NULL) < 0 && errno == ENOENT);
    EXPECT(syscall(SYS_execve, "/bin/nonexistent", words, 8L) < 0 && errno != 0);
    MUST(execve("/bin/true", words, environment));
    return 1;
}

SCENES({"forked-child-closes", forked_child_closes}, {"forked-parent-closes", forked_parent_closes},
       {"unseen-child", unseen_child}, {"other-user", other_user}, {"spawned", spawned}, {"ending", ending},
       {"exit-handler", exit_handler}, {"exit-while-shared", exit_while_shared}, {"exec-closes", exec_closes},
       {"exec-closes-unread", exec_closes_unread}, {"exec-closes-one-of-two", exec_closes_one_of_two},
       {"exec-keeps", exec_keeps}, {"inheritor", inheritor}, {"exec-fails", exec_fails},
       {"exec-along-path", exec_along_path})
