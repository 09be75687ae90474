/*
 * Programs whose standard error is not what a log would like to have: gone, somebody's connection, full, broken. A
 * scene starts this program anew ("rounds") with such a standard error, looks at how it ends and at what came out, and
 * tells that. Run with CLOSETRACE_OUTPUT=stderr, and without the library.
 */
#include "pair.h"
#include "unseen.h"

#include <pty.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <termios.h>

/* A connection opened and closed, so often. Ten events each. */
static void play_rounds(int count) {
    for (int i = 0; i < count; i++) {
        struct pair pair = quiet_pair(AF_INET);
        MUST(close(MUST(dup(pair.c))));
        MUST(shutdown(pair.c, SHUT_WR));
        MUST(close(pair.c));
        MUST(close(pair.s));
    }
}

/* rounds N [GO]: with GO twice N, the second half when a byte has come on descriptor 0, and a byte on 1 before. */
static int rounds(char **arguments) {
    char byte = 0;
    play_rounds(atoi(arguments[0]));
    if (arguments[1]) {
        EXPECT(write(STDOUT_FILENO, "!", 1) == 1);
        EXPECT(read(STDIN_FILENO, &byte, 1) == 1);
        play_rounds(atoi(arguments[0]));
    }
    return 0;
}

/* This program again, with that as its standard error (-1: none) and as its standard input and output, if not -1. */
static pid_t start(int error, int in, int out, const char *count, const char *go) {
    pid_t child = MUST(fork());
    if (child > 0)
        return child;
    if (in >= 0)
        MUST(dup2(in, STDIN_FILENO));
    if (out >= 0)
        MUST(dup2(out, STDOUT_FILENO));
    if (error < 0)
        MUST(close(STDERR_FILENO));
    else
        MUST(dup2(error, STDERR_FILENO));
    closefrom(3);
    execl("/proc/self/exe", "safety_output", "rounds", count, go, (char *)NULL);
    _exit(99);
}

/* Tells how it ended; a process that does not end in 5 seconds is blocked, and ended here. */
static void tell_how_it_ended(const char *what, pid_t child) {
    int status = -1;
    long limit = now_ms() + 5000;
    while (waitpid(child, &status, WNOHANG | WUNTRACED) == 0 && now_ms() < limit)
        pause_a_moment();
    if (status == -1 || WIFSTOPPED(status)) {
        tell("%s: %s", what, status == -1 ? "hangs" : "is stopped");
        MUST(kill(child, SIGKILL));
        MUST(waitpid(child, &status, 0));
    } else {
        tell("%s: ended with %d", what, status);
    }
}

/* All that is there until the end of the stream. The number of bytes; *lines: of line ends; whole lines only? */
static long drain(int fd, long *lines, bool *whole) {
    char buffer[4096], last = '\n';
    long total = 0;
    *lines = 0;
    for (ssize_t length; (length = read(fd, buffer, sizeof buffer)) > 0; total += length) {
        for (ssize_t i = 0; i < length; i++)
            *lines += buffer[i] == '\n';
        last = buffer[length - 1];
    }
    *whole = last == '\n';
    return total;
}

/* ---- a connection where standard error was ---- */

/* The client reads nothing but what the program sends. In a child, whose standard error is lost by that. */
static void serve_as_2(const char *way) {
    pid_t child = MUST(fork());
    if (child == 0) {
        int listener = listen_on_loopback(AF_INET, 1), client = connect_to(listener), server;
        char text[64] = "";
        if (strcmp(way, "close") == 0)
            MUST(close(2));
        else if (strcmp(way, "unseen") == 0)
            unseen(SYS_close, 2, 0, 0);
        else if (strcmp(way, "fclose") == 0)
            MUST(fclose(stderr));
        else if (strcmp(way, "close_range") == 0)
            MUST(close_range(2, 2, 0));
        if (strcmp(way, "dup2") == 0) {
            server = MUST(accept(listener, NULL, NULL));
            MUST(dup2(server, 2));
            MUST(close(server));
        } else {
            if (MUST(accept(listener, NULL, NULL)) != 2)
                _exit(2);
        }
        play_rounds(5);
        if (MUST(fork()) == 0) {
            play_rounds(5);
            _exit(0);
        }
        wait(NULL);
        if (send(2, "hello", 5, 0) != 5 || shutdown(2, SHUT_WR) < 0)
            _exit(3);
        play_rounds(5);
        MUST(close(2));
        play_rounds(5);
        if (recv(client, text, sizeof text, MSG_WAITALL) != 5 || memcmp(text, "hello", 5) != 0)
            _exit(4);
        _exit(0);
    }
    tell_how_it_ended(way, child);
}

static int reused(char **arguments) {
    (void)arguments;
    serve_as_2("close");
    serve_as_2("unseen");
    serve_as_2("fclose");
    serve_as_2("close_range");
    serve_as_2("dup2");
    return 0;
}

/* No standard error from the start: 2 is the number of the first socket. */
static int none(char **arguments) {
    (void)arguments;
    tell_how_it_ended("none", start(-1, -1, -1, "20", NULL));
    return 0;
}

/* Standard error is a socket, as inetd does it; what the other end gets is told. */
static int inetd(char **arguments) {
    (void)arguments;
    struct pair pair = quiet_pair(AF_INET);
    int ends[2];
    long lines;
    bool whole;
    tell_how_it_ended("TCP", start(pair.s, -1, -1, "20", NULL));
    MUST(close(pair.s));
    tell("got %ld bytes", drain(pair.c, &lines, &whole));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    tell_how_it_ended("unix", start(ends[0], ends[0], -1, "20", NULL));
    MUST(close(ends[0]));
    tell("got %ld bytes", drain(ends[1], &lines, &whole));
    return 0;
}

/* The setting itself names a socket. */
static int socket_named(char **arguments) {
    (void)arguments;
    int ends[2];
    long lines;
    bool whole;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    MUST(setenv("CLOSETRACE_OUTPUT", "/dev/fd/0", 1));
    tell_how_it_ended("socket named", start(2, ends[0], -1, "5", NULL));
    MUST(close(ends[0]));
    tell("got %ld bytes", drain(ends[1], &lines, &whole));
    return 0;
}

/*
 * The file that standard error was is gone, and what the program makes now has its inode: it is not our log, though it
 * has the same number and looks the same.
 */
static int same_inode(char **arguments) {
    const char *directory = arguments[0];
    char path[512], other[560];
    struct stat before, now = {0};
    snprintf(path, sizeof path, "%s/error", directory);
    int error = MUST(open(path, O_CREAT | O_WRONLY | O_APPEND, 0600));
    MUST(fstat(error, &before));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(dup2(error, 2));
        closefrom(3);
        execl("/proc/self/exe", "safety_output", "same-inode-again", directory, (char *)NULL);
        _exit(99);
    }
    MUST(close(error));
    int status = -1;
    MUST(waitpid(child, &status, 0));
    EXPECT(WIFEXITED(status));
    if (WEXITSTATUS(status) == EXIT_SKIP)
        skip("this file system does not use an inode again");
    snprintf(other, sizeof other, "%s/mine", directory);
    MUST(stat(other, &now));
    tell("status %d, in the program's own file: %ld bytes", WEXITSTATUS(status), (long)now.st_size);
    return 0;
}

/* Inodes with lower numbers are used up first, so that the file's own is the next to be had. */
static void use_lower_inodes(const char *directory, ino_t inode) {
    struct stat made = {0};
    char path[512];
    for (int i = 0; i < 1000 && made.st_ino < inode; i++) {
        snprintf(path, sizeof path, "%s/filler-%d-%d", directory, getpid(), i);
        int fd = MUST(open(path, O_CREAT | O_WRONLY, 0600));
        MUST(fstat(fd, &made));
        MUST(close(fd));
    }
}

static int same_inode_again(char **arguments) {
    char error[512], mine[512];
    struct stat before, now = {0};
    play_rounds(1);
    snprintf(error, sizeof error, "%s/error", arguments[0]);
    snprintf(mine, sizeof mine, "%s/mine", arguments[0]);
    unlink(mine); /* of an earlier run */
    MUST(fstat(2, &before));
    use_lower_inodes(arguments[0], before.st_ino);
    MUST(unlink(error));
    for (int i = 0; i < 200; i++) { /* another process may have been quicker */
        MUST(close(2));
        EXPECT(open(mine, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600) == 2);
        MUST(fstat(2, &now));
        if (now.st_ino == before.st_ino) {
            play_rounds(3);
            _exit(0);
        }
        MUST(unlink(mine));
    }
    _exit(EXIT_SKIP);
}

/* ---- pipes ---- */

static void fill_pipe(int fd) {
    static const char page[4096];
    int flags = MUST(fcntl(fd, F_GETFL));
    MUST(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
    while (write(fd, page, sizeof page) > 0)
        ;
    while (write(fd, page, 1) > 0)
        ;
    MUST(fcntl(fd, F_SETFL, flags));
}

static void empty_pipe(int fd) {
    static char page[4096];
    int flags = MUST(fcntl(fd, F_GETFL));
    MUST(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
    while (read(fd, page, sizeof page) > 0)
        ;
    MUST(fcntl(fd, F_SETFL, flags));
}

/* Full, and nobody reads; and full at first, then read: what was lost meanwhile is in the log's end. */
static int full_pipe(char **arguments) {
    (void)arguments;
    int ends[2], go[2], come[2];
    char byte;
    MUST(pipe2(ends, O_CLOEXEC));
    fill_pipe(ends[1]);
    tell_how_it_ended("full", start(ends[1], -1, -1, "50", NULL));
    MUST(pipe2(go, O_CLOEXEC));
    MUST(pipe2(come, O_CLOEXEC));
    pid_t child = start(ends[1], go[0], come[1], "10", "go");
    EXPECT(read(come[0], &byte, 1) == 1);
    while (byte != '!')
        EXPECT(read(come[0], &byte, 1) == 1); /* PID= */
    empty_pipe(ends[0]);
    EXPECT(write(go[1], "", 1) == 1);
    tell_how_it_ended("full at first", child);
    MUST(close(ends[1]));
    int log = MUST(open(arguments[0], O_CREAT | O_WRONLY | O_TRUNC, 0600));
    static char page[65536];
    for (ssize_t length; (length = read(ends[0], page, sizeof page)) > 0;)
        EXPECT(write(log, page, (size_t)length) == length);
    return 0;
}

/*
 * There was room when the library looked, and there is none when it writes: somebody else has filled the pipe in
 * between. A debugger's eye sees the moment.
 */
static int filled_meanwhile(char **arguments) {
#if defined(__x86_64__)
    (void)arguments;
    int ends[2], status = -1;
    MUST(pipe2(ends, O_CLOEXEC));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(dup2(ends[1], 2));
        MUST(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        execl("/proc/self/exe", "safety_output", "rounds", "5", (char *)NULL);
        _exit(99);
    }
    MUST(waitpid(child, &status, 0));
    for (bool entering = true; WIFSTOPPED(status); entering = !entering) {
        struct user_regs_struct registers;
        MUST(ptrace(PTRACE_SYSCALL, child, NULL, NULL));
        MUST(waitpid(child, &status, 0));
        if (!WIFSTOPPED(status))
            break;
        MUST(ptrace(PTRACE_GETREGS, child, NULL, &registers));
        if (entering && registers.orig_rax == SYS_write && registers.rdi == 2) {
            fill_pipe(ends[1]);
            MUST(ptrace(PTRACE_DETACH, child, NULL, NULL));
            tell_how_it_ended("filled meanwhile", child);
            return 0;
        }
    }
    tell("filled meanwhile: ended with %d", status); /* it has never written to it */
    return 0;
#else
    (void)arguments;
    skip("no names of registers for this architecture");
#endif
}

/* Nobody will ever read it. SIGPIPE has its default action. */
static int broken_pipe(char **arguments) {
    (void)arguments;
    int ends[2];
    signal(SIGPIPE, SIG_DFL);
    MUST(pipe2(ends, O_CLOEXEC));
    MUST(close(ends[0]));
    tell_how_it_ended("broken", start(ends[1], -1, -1, "20", NULL));
    int full = MUST(open("/dev/full", O_WRONLY));
    tell_how_it_ended("/dev/full", start(full, -1, -1, "20", NULL));
    return 0;
}

/* Handled or blocked, a SIGPIPE of ours is not seen; one of the program's own that waits, stays. */
static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int signal) {
    (void)signal;
    sigpipes++;
}

static int broken_pipe_handled(char **arguments) {
    (void)arguments;
    int ends[2];
    sigset_t only, pending;
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    if (!getenv("AGAIN")) {
        MUST(pipe2(ends, O_CLOEXEC));
        MUST(close(ends[0]));
        MUST(dup2(ends[1], 2));
        MUST(setenv("AGAIN", "1", 1));
        signal(SIGPIPE, SIG_IGN);
        execl("/proc/self/exe", "safety_output", "broken-pipe-handled", (char *)NULL);
        _exit(99);
    }
    signal(SIGPIPE, count_sigpipe);
    play_rounds(5);
    MUST(sigprocmask(SIG_BLOCK, &only, NULL));
    play_rounds(5);
    MUST(sigpending(&pending));
    tell("seen %d, pending %d", (int)sigpipes, sigismember(&pending, SIGPIPE));
    MUST(raise(SIGPIPE));
    play_rounds(5);
    MUST(sigpending(&pending));
    tell("own pending %d", sigismember(&pending, SIGPIPE));
    return 0;
}

/* ---- a file that may not grow ---- */

static int size_limit(char **arguments) {
    struct rlimit limit;
    struct stat status;
    MUST(getrlimit(RLIMIT_FSIZE, &limit));
    play_rounds(3);
    for (int room = 0; room < 1200; room += 77) {
        if (stat(arguments[0], &status) < 0)
            status.st_size = 0;
        MUST(setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)(status.st_size + room), limit.rlim_max}));
        play_rounds(1);
    }
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
    play_rounds(3);
    tell("survived");
    return 0;
}

/* ---- terminals ---- */

static int open_terminal(int *master) {
    int slave;
    struct termios settings;
    MUST(openpty(master, &slave, NULL, NULL, NULL));
    MUST(tcgetattr(slave, &settings));
    cfmakeraw(&settings);
    settings.c_lflag |= TOSTOP;
    MUST(tcsetattr(slave, TCSANOW, &settings));
    MUST(fcntl(*master, F_SETFD, FD_CLOEXEC));
    return slave;
}

/* In the background of a terminal that stops writers there. Tells of itself on standard output. */
static int background(char **arguments) {
    (void)arguments;
    int master, slave = open_terminal(&master);
    pid_t session = MUST(fork());
    if (session == 0) {
        MUST(setsid());
        MUST(ioctl(slave, TIOCSCTTY, 0));
        pid_t child = MUST(fork());
        if (child == 0) {
            MUST(setpgid(0, 0));
            MUST(dup2(slave, 2));
            closefrom(3);
            execl("/proc/self/exe", "safety_output", "rounds", "20", (char *)NULL);
            _exit(99);
        }
        tell_how_it_ended("in the background", child);
        _exit(0);
    }
    /* read on, that it is not the terminal's buffer that stops it */
    struct pollfd entry = {.fd = master, .events = POLLIN};
    int status;
    static char buffer[65536];
    MUST(close(slave));
    while (waitpid(session, &status, WNOHANG) == 0)
        if (poll(&entry, 1, 20) == 1 && read(master, buffer, sizeof buffer) < 0)
            pause_a_moment();
    return 0;
}

/* A terminal that nobody reads, and one whose output was stopped (^S). */
static int stuck_terminal(char **arguments) {
    (void)arguments;
    int master, slave = open_terminal(&master);
    tell_how_it_ended("nobody reads the terminal", start(slave, -1, -1, "100", NULL));
    int other_master, other = open_terminal(&other_master);
    MUST(tcflow(other, TCOOFF));
    tell_how_it_ended("the terminal was stopped", start(other, -1, -1, "20", NULL));
    MUST(tcflow(other, TCOON));
    return 0;
}

/* ---- many writers ---- */

/* crowd PROCESSES ROUNDS: all log to the same place. */
static int crowd(char **arguments) {
    int count = atoi(arguments[0]), status;
    for (int i = 0; i < count; i++) {
        if (MUST(fork()) == 0) {
            play_rounds(atoi(arguments[1]));
            exit(0);
        }
    }
    while (wait(&status) > 0)
        EXPECT(status == 0);
    return 0;
}

/* Ends itself as nobody can foresee; what was told before is in the log. */
static int killed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    return (int)syscall(SYS_kill, getpid(), SIGKILL);
}

SCENES({"rounds", rounds}, {"reused", reused}, {"none", none}, {"inetd", inetd}, {"socket-named", socket_named},
       {"same-inode", same_inode}, {"same-inode-again", same_inode_again}, {"full-pipe", full_pipe},
       {"filled-meanwhile", filled_meanwhile}, {"broken-pipe", broken_pipe},
       {"broken-pipe-handled", broken_pipe_handled}, {"size-limit", size_limit}, {"background", background},
       {"stuck-terminal", stuck_terminal}, {"crowd", crowd}, {"killed", killed})
