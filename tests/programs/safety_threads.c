/* Threads that open, share, duplicate, shut down and close connections at once, that fork, and that are cancelled. */
#include "pair.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { THREADS = 8, SHARED = 6 };

static int listener;
static struct sockaddr_storage listener_name;

static void start_listener(void) {
    listener = listen_on_loopback(AF_INET, 1024);
    listener_name = name_of(listener);
}

static int open_client(void) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(fd, (struct sockaddr *)&listener_name, sizeof(struct sockaddr_in)));
    return fd;
}

/* ---- a crowd ---- */

static atomic_int shared[SHARED]; /* descriptors that any thread may use, and any thread may take and close */
static atomic_int rounds;
static int forks_each;

/* May be gone, or another's by now: what comes of it is no matter. */
static void use_shared(unsigned turn) {
    int fd = atomic_load(&shared[turn % SHARED]);
    int copy = fcntl(fd, F_DUPFD, 100);
    if (copy >= 0) {
        if (turn % 3 == 0)
            shutdown(copy, SHUT_WR);
        MUST(close(copy));
    }
}

static void renew_shared(unsigned turn) {
    int old = atomic_exchange(&shared[turn % SHARED], open_client());
    close(old);
    MUST(close(MUST(accept(listener, NULL, NULL))));
}

static void fork_a_child(void) {
    int status = -1;
    pid_t child = MUST(fork());
    if (child == 0) {
        int fd = open_client();
        MUST(close(fd));
        MUST(close(listener));
        _exit(0);
    }
    MUST(close(MUST(accept(listener, NULL, NULL))));
    MUST(waitpid(child, &status, 0));
    EXPECT(status == 0);
}

static void *crowd_thread(void *argument) {
    unsigned number = (unsigned)(uintptr_t)argument;
    for (unsigned turn = 0; turn < 60; turn++) {
        int fd = open_client();
        int other = MUST(accept(listener, NULL, NULL));
        (void)!send(other, "x", 1, MSG_NOSIGNAL);
        use_shared(turn + number);
        if (turn % 8 == number)
            renew_shared(turn);
        if (number % 3 == 0 && forks_each && turn % (60 / (unsigned)forks_each) == 0)
            fork_a_child();
        MUST(close(fd));
        MUST(close(other));
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

/* crowd FORKS: so often three of the threads fork. */
static int crowd(char **arguments) {
    pthread_t threads[THREADS];
    forks_each = atoi(arguments[0]);
    signal(SIGPIPE, SIG_IGN);
    start_listener();
    for (int i = 0; i < SHARED; i++)
        shared[i] = -1;
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, crowd_thread, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < SHARED; i++)
        if (shared[i] >= 0)
            MUST(close(shared[i]));
    MUST(close(listener));
    tell("rounds %d", atomic_load(&rounds));
    int lowest = MUST(dup(0));
    tell("lowest %d", lowest); /* nothing was left open */
    return 0;
}

/* ---- cancellation ---- */

static struct pair connection;
static int fds[2], spare, file; /* a pipe, nobody's number, a file */
static char byte[64];
static struct iovec one = {byte, 1};
static struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
static FILE *stream;

extern char **environ;

static void make_things(void) {
    connection = quiet_pair(AF_INET);
    start_listener();
    MUST(pipe(fds));
    spare = MUST(dup(connection.c));
    file = MUST(open("/proc/self/exe", O_RDONLY));
    stream = fdopen(MUST(dup(connection.c)), "w");
    EXPECT(stream && fputs("buffered", stream) >= 0);
}

static long spawn_true(void) {
    pid_t child;
    return posix_spawn(&child, "/bin/true", NULL, NULL, (char *[]){"true", NULL}, environ) ||
           waitpid(child, NULL, WNOHANG) < 0;
}

struct act {
    const char *name;
    long (*run)(void);
};

#define ACT(name, call)      \
    static long name(void) { \
        return (long)(call); \
    }
ACT(act_read, read(connection.c, byte, 1))
ACT(act_readv, readv(connection.c, &one, 1))
ACT(act_recv, recv(connection.c, byte, 1, 0))
ACT(act_recvfrom, recvfrom(connection.c, byte, 1, 0, NULL, NULL))
ACT(act_recvmsg, recvmsg(connection.c, &message, 0))
ACT(act_accept, accept(listener, NULL, NULL))
ACT(act_accept4, accept4(listener, NULL, NULL, 0))
ACT(act_poll, poll(&(struct pollfd){.fd = connection.c, .events = POLLIN}, 1, -1))
ACT(act_select, select(0, NULL, NULL, NULL, NULL))
ACT(act_splice_in, splice(connection.c, NULL, fds[1], NULL, 1, 0))
ACT(act_splice_out, splice(fds[0], NULL, connection.c, NULL, 1, 0))
ACT(act_write, write(connection.c, byte, 1))
ACT(act_writev, writev(connection.c, &one, 1))
ACT(act_send, send(connection.c, byte, 1, 0))
ACT(act_sendto, sendto(connection.c, byte, 1, 0, NULL, 0))
ACT(act_sendmsg, sendmsg(connection.c, &message, 0))
ACT(act_sendfile, sendfile(connection.c, file, NULL, 1))
ACT(act_dprintf, dprintf(connection.c, "x"))
ACT(act_fflush, fflush(stream))
ACT(act_fclose, fclose(stream))
ACT(act_close, close(spare))
ACT(act_close_bad, close(-1))
ACT(act_close_range, close_range((unsigned)spare, (unsigned)spare, 0))
ACT(act_shutdown, shutdown(connection.c, SHUT_WR))
ACT(act_socket, socket(AF_INET, SOCK_STREAM, 0))
ACT(act_connect, connect(connection.c, (struct sockaddr *)&listener_name, sizeof(struct sockaddr_in)))
ACT(act_dup, dup(connection.c))
ACT(act_dup2, dup2(connection.c, spare))
ACT(act_dup3, dup3(connection.c, spare, 0))
ACT(act_fcntl, fcntl(connection.c, F_DUPFD, 0))
ACT(act_getfl, fcntl(connection.c, F_GETFL))
ACT(act_setsockopt, setsockopt(connection.c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
ACT(act_spawn, spawn_true())
ACT(act_system, system("true"))
ACT(act_raise, raise(0))

/* Those that wait, with nothing to be had. */
static const struct act waiting[] = {
    {"read", act_read},
    {"readv", act_readv},
    {"recv", act_recv},
    {"recvfrom", act_recvfrom},
    {"recvmsg", act_recvmsg},
    {"accept", act_accept},
    {"accept4", act_accept4},
    {"poll", act_poll},
    {"select", act_select},
    {"splice-in", act_splice_in},
    {"splice-out", act_splice_out},
};

/* Those that do not. */
static const struct act at_once[] = {
    {"write", act_write},
    {"writev", act_writev},
    {"send", act_send},
    {"sendto", act_sendto},
    {"sendmsg", act_sendmsg},
    {"sendfile", act_sendfile},
    {"dprintf", act_dprintf},
    {"fflush", act_fflush},
    {"fclose", act_fclose},
    {"close", act_close},
    {"close a bad number", act_close_bad},
    {"close_range", act_close_range},
    {"shutdown", act_shutdown},
    {"socket", act_socket},
    {"connect", act_connect},
    {"dup", act_dup},
    {"dup2", act_dup2},
    {"dup3", act_dup3},
    {"fcntl F_DUPFD", act_fcntl},
    {"fcntl F_GETFL", act_getfl},
    {"setsockopt", act_setsockopt},
    {"posix_spawn", act_spawn},
    {"system", act_system},
    {"raise", act_raise},
};

static atomic_int thread_id, cleaned;
static atomic_bool sigpipe_blocked;
static int cancel_type;

static void clean_up(void *unused) {
    sigset_t mask;
    (void)unused;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    sigpipe_blocked = sigismember(&mask, SIGPIPE);
    atomic_fetch_add(&cleaned, 1);
}

static void *wait_in_call(void *argument) {
    const struct act *act = argument;
    EXPECT(pthread_setcanceltype(cancel_type, NULL) == 0);
    pthread_cleanup_push(clean_up, NULL);
    atomic_store(&thread_id, (int)syscall(SYS_gettid));
    act->run();
    pthread_cleanup_pop(0);
    return NULL;
}

static bool sleeps(int tid) {
    char path[64], contents[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int stat = open(path, O_RDONLY);
    ssize_t length = read(stat, contents, sizeof contents - 1);
    close(stat);
    return length > 0 && strstr(contents, ") S ") != NULL;
}

static void tell_result(const char *how, const char *name, void *result) {
    tell("%s, %s: %s, cleaned %d, SIGPIPE blocked %d, spare open %d", how, name,
         result == PTHREAD_CANCELED ? "cancelled" : "went on", atomic_load(&cleaned), sigpipe_blocked,
         fcntl(spare, F_GETFD) == 0);
    cleaned = 0;
    sigpipe_blocked = false;
}

/* Threads that wait in a call are cancelled there. */
static int cancel_waiting(char **arguments) {
    bool asynchronous = strcmp(arguments[0], "asynchronous") == 0;
    cancel_type = asynchronous ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
    make_things();
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++) {
        pthread_t thread;
        void *result;
        thread_id = 0;
        EXPECT(pthread_create(&thread, NULL, wait_in_call, (void *)(uintptr_t)&waiting[i]) == 0);
        WAIT_UNTIL(atomic_load(&thread_id) && sleeps(thread_id));
        EXPECT(pthread_cancel(thread) == 0);
        EXPECT(pthread_join(thread, &result) == 0);
        tell_result(arguments[0], waiting[i].name, result);
    }
    return 0;
}

/* A thread that is to be cancelled already acts on it at this call, or does not. */
static void *meet_cancellation(void *argument) {
    const struct act *act = argument;
    pthread_cleanup_push(clean_up, NULL);
    EXPECT(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    EXPECT(pthread_cancel(pthread_self()) == 0);
    EXPECT(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0);
    act->run();
    EXPECT(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    pthread_cleanup_pop(0);
    return NULL;
}

/* Each in a process of its own: a cancelled call may leave anything behind. */
static void meet(const struct act *act) {
    pid_t child = MUST(fork());
    if (child == 0) {
        pthread_t thread;
        void *result;
        make_things();
        EXPECT(pthread_create(&thread, NULL, meet_cancellation, (void *)(uintptr_t)act) == 0);
        EXPECT(pthread_join(thread, &result) == 0);
        tell_result("pending", act->name, result);
        _exit(0);
    }
    int status = -1;
    MUST(waitpid(child, &status, 0));
    EXPECT(status == 0);
}

static int cancel_pending(char **arguments) {
    (void)arguments;
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++)
        meet(&at_once[i]);
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
        meet(&waiting[i]);
    return 0;
}

/* Cancelled anywhere, also in the middle of what the library does; what comes after works as ever. */
static void *churn(void *asynchronous) {
    pthread_cleanup_push(clean_up, NULL);
    if (asynchronous)
        EXPECT(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    thread_id = 1;
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd >= 0) {
            connect(fd, (struct sockaddr *)&listener_name, sizeof(struct sockaddr_in));
            int copy = dup(fd);
            close(copy);
            shutdown(fd, SHUT_WR);
            close(fd);
        }
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static int cancel_anywhere(char **arguments) {
    bool asynchronous = strcmp(arguments[0], "asynchronous") == 0;
    start_listener();
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
    for (int i = 0; i < 60; i++) {
        pthread_t thread;
        void *result;
        thread_id = 0;
        EXPECT(pthread_create(&thread, NULL, churn, asynchronous ? &listener : NULL) == 0);
        WAIT_UNTIL(thread_id);
        /* up to some milliseconds: a different moment each time */
        for (volatile int spin = 0; spin < i * 40000; spin++)
            ;
        EXPECT(pthread_cancel(thread) == 0);
        EXPECT(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
            MUST(close(fd));
        for (int fd = listener + 1; fd < 64; fd++)
            close(fd);
    }
    EXPECT(cleaned == 60);
    MUST(close(listener));
    struct pair pair = make_pair();
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    return 0;
}

SCENES({"crowd", crowd}, {"cancel-waiting", cancel_waiting}, {"cancel-pending", cancel_pending},
       {"cancel-anywhere", cancel_anywhere})
