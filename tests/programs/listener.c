/*
 * Listeners: several on a port (SO_REUSEPORT), several references to one, a thread inside accept() while another closes
 * it. What lives on, what is reset, who holds it.
 */
#include "in_call.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

enum { WAITING = 2, SIBLINGS = 8 };

static int family_of(const char *word) {
    return word && strcmp(word, "v6") == 0 ? AF_INET6 : AF_INET;
}

static socklen_t size_of(const struct sockaddr_storage *name) {
    return name->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static struct sockaddr_storage loopback(const char *word) {
    struct sockaddr_storage name = {0};
    if (word && strcmp(word, "mapped") == 0) {
        struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
        memcpy(&name, &mapped, sizeof mapped);
    } else if (family_of(word) == AF_INET6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        memcpy(&name, &v6, sizeof v6);
    } else {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        memcpy(&name, &v4, sizeof v4);
    }
    return name;
}

/* One more on that address, or the first: port 0. */
static int listen_beside(struct sockaddr_storage *name) {
    int on = 1, fd = MUST(socket(name->ss_family, SOCK_STREAM, 0));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
    MUST(bind(fd, (struct sockaddr *)name, size_of(name)));
    MUST(listen(fd, 64));
    *name = name_of(fd);
    return fd;
}

static void make_siblings(int siblings[SIBLINGS], const char *word) {
    struct sockaddr_storage name = loopback(word);
    for (int i = 0; i < SIBLINGS; i++)
        siblings[i] = listen_beside(&name);
    introduce("C", siblings[0]);
}

/* siblings [v6|mapped]: of several on a port each has a dup; all are closed, then the dups. */
static int siblings_held(char **arguments) {
    int siblings[SIBLINGS], copies[SIBLINGS];
    make_siblings(siblings, arguments[0]);
    for (int i = 0; i < SIBLINGS; i++)
        copies[i] = MUST(dup(siblings[i]));
    for (int i = 0; i < SIBLINGS; i++)
        MUST(close(siblings[i]));
    for (int i = 0; i < SIBLINGS; i++)
        MUST(close(copies[i]));
    return 0;
}

/* Each is closed while the others live on, a connection in its queue. */
static int siblings_closed(char **arguments) {
    int siblings[SIBLINGS], clients[4 * SIBLINGS];
    make_siblings(siblings, arguments[0]);
    for (int i = 0; i < 4 * SIBLINGS; i++)
        clients[i] = connect_to(siblings[0]);
    for (int i = 0; i < SIBLINGS; i++)
        MUST(close(siblings[i]));
    for (int i = 0; i < 4 * SIBLINGS; i++)
        EXPECT(!read_to_end(clients[i]));
    return 0;
}

/* ---- a thread inside a call ---- */

struct caller {
    pthread_t thread;
    int fd, tid, accepted;
};

static void *in_recv(void *argument) {
    struct caller *caller = argument;
    char byte;
    __atomic_store_n(&caller->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    recv(caller->fd, &byte, 1, 0);
    return NULL;
}

static void *in_accept(void *argument) {
    struct caller *caller = argument;
    __atomic_store_n(&caller->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    int fd = accept(caller->fd, NULL, NULL);
    __atomic_store_n(&caller->accepted, fd, __ATOMIC_RELEASE);
    return NULL;
}

static void *in_poll(void *argument) {
    struct caller *caller = argument;
    struct pollfd entry = {.fd = caller->fd, .events = POLLIN};
    __atomic_store_n(&caller->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    poll(&entry, 1, -1);
    return NULL;
}

static void start(struct caller *caller, void *(*body)(void *), int fd, long number) {
    *caller = (struct caller){.fd = fd, .accepted = -1};
    MUST(-pthread_create(&caller->thread, NULL, body, caller));
    WAIT_UNTIL(__atomic_load_n(&caller->tid, __ATOMIC_ACQUIRE));
    WAIT_UNTIL(syscall_of(caller->tid) == number);
    tell("TID=%d", caller->tid);
}

/* After siblings were closed the kernel is still asked, and believed, of a connection. */
static int siblings_then_call(char **arguments) {
    int siblings[SIBLINGS];
    struct caller caller;
    struct sockaddr_storage name = loopback(arguments[0]);
    for (int i = 0; i < SIBLINGS; i++)
        siblings[i] = listen_beside(&name);
    for (int i = 0; i < SIBLINGS / 2; i++)
        MUST(close(siblings[i]));
    struct pair pair = make_pair();
    start(&caller, in_recv, pair.c, SYS_recvfrom);
    MUST(close(pair.c));
    send_bytes(pair.s, 1);
    MUST(-pthread_join(caller.thread, NULL));
    return 0;
}

/* accept-closed close|dup2|close_range|shutdown-rd... [v6]: the listener is closed, and takes one more connection. */
static int accept_closed(char **arguments) {
    struct caller caller;
    int listener = listen_on_loopback(family_of(arguments[1]), 8), again = -1;
    struct sockaddr_storage name = name_of(listener);
    introduce("C", listener);
    start(&caller, in_accept, listener, SYS_accept);
    if (strcmp(arguments[0], "dup2") == 0)
        MUST(again = dup2(STDOUT_FILENO, listener));
    else if (strcmp(arguments[0], "close_range") == 0)
        MUST(syscall(SYS_close_range, listener, listener, 0));
    else
        MUST(close(listener));
    int client = MUST(socket(name.ss_family, SOCK_STREAM, 0));
    MUST(connect(client, (struct sockaddr *)&name, size_of(&name)));
    MUST(-pthread_join(caller.thread, NULL));
    int server = __atomic_load_n(&caller.accepted, __ATOMIC_ACQUIRE);
    EXPECT(server >= 0);
    introduce("S", server);
    MUST(close(server));
    EXPECT(read_to_end(client));
    return 0;
}

/* The number is another listener's by the time that accept() returns. */
static int accept_reused(char **arguments) {
    struct caller caller;
    int listener = listen_on_loopback(AF_INET, 8);
    struct sockaddr_storage name = name_of(listener);
    (void)arguments;
    introduce("C", listener);
    start(&caller, in_accept, listener, SYS_accept);
    MUST(close(listener));
    EXPECT(listen_on_loopback(AF_INET, 1) == listener);
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(client, (struct sockaddr *)&name, size_of(&name)));
    MUST(-pthread_join(caller.thread, NULL));
    introduce("S", __atomic_load_n(&caller.accepted, __ATOMIC_ACQUIRE));
    return 0;
}

static int poll_closed(char **arguments) {
    struct caller caller;
    int listener = listen_on_loopback(AF_INET, 8);
    struct sockaddr_storage name = name_of(listener);
    (void)arguments;
    introduce("C", listener);
    start(&caller, in_poll, listener, SYS_poll);
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0)); /* not on the number that the poll is about */
    MUST(close(listener));
    MUST(connect(client, (struct sockaddr *)&name, size_of(&name)));
    MUST(-pthread_join(caller.thread, NULL));
    EXPECT(!read_to_end(client));
    return 0;
}

/* ---- other processes ---- */

static void give_up(const char *how, int fd) {
    char byte;
    if (strcmp(how, "close") == 0)
        MUST(close(fd));
    else if (strcmp(how, "exec") == 0) {
        MUST(fcntl(fd, F_SETFD, FD_CLOEXEC));
        execl("/bin/true", "true", (char *)NULL);
    } else if (strcmp(how, "kill") == 0)
        EXPECT(read(STDIN_FILENO, &byte, 1) == -1); /* never */
    _exit(0);
}

/* child close|exit|exec: a child gives its copy up, the parent listens on. */
static int child_gives_up(char **arguments) {
    int listener = listen_on_loopback(AF_INET, 8), status;
    introduce("C", listener);
    pid_t child = MUST(fork());
    if (child == 0)
        give_up(arguments[0], listener);
    MUST(waitpid(child, &status, 0));
    tell("CHILD=%d", child);
    int client = connect_to(listener);
    MUST(close(listener));
    EXPECT(!read_to_end(client));
    return 0;
}

/* killed: the same where the child is killed. Waits until the command may have seen it. */
static int child_killed(char **arguments) {
    int listener = listen_on_loopback(AF_INET, 8), ready[2], status;
    char byte;
    (void)arguments;
    introduce("C", listener);
    MUST(pipe(ready));
    pid_t child = MUST(fork());
    if (child == 0) {
        EXPECT(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    EXPECT(read(ready[0], &byte, 1) == 1);
    MUST(usleep(100000));
    MUST(kill(child, SIGKILL));
    MUST(waitpid(child, &status, 0));
    tell("CHILD=%d", child);
    MUST(usleep(200000));
    MUST(close(listener));
    return 0;
}

SCENES({"siblings-held", siblings_held}, {"siblings-closed", siblings_closed},
       {"siblings-then-call", siblings_then_call}, {"accept-closed", accept_closed}, {"accept-reused", accept_reused},
       {"poll-closed", poll_closed}, {"child", child_gives_up}, {"killed", child_killed})
