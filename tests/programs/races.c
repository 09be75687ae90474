/*
 * Two who end a connection at one moment: A is held at a stop, B runs through, A goes on. Whatever they are, and
 * wherever A was held, one FIN leaves, and one event tells of it.
 *
 *     processes A STOP B      each a forked process with the connection
 *     threads A STOP B        of one process, on one descriptor
 *
 * A and B: close, exit, exec, kill (processes); close, dup2, close_range, shutdown, dup (threads).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>

#include "stops.h"
#include "unseen.h"

static struct pair pair;

/* ---- processes ---- */

struct part {
    const char *name, *kind;
    pid_t pid;
    int go[2], done[2]; /* pipes: it may begin; it has closed, and lives */
};

static void wait_for_go(const struct part *part) {
    char byte;
    MUST(read(part->go[0], &byte, 1));
}

_Noreturn static void play_part(struct part *part) {
    stops_name_thread(part->name);
    MUST(close(pair.s));
    wait_for_go(part);
    if (strcmp(part->kind, "exec") == 0) {
        MUST(fcntl(pair.c, F_SETFD, FD_CLOEXEC));
        execl("/bin/true", "true", (char *)NULL);
        fail("exec");
    }
    if (strcmp(part->kind, "close") == 0) {
        MUST(close(pair.c));
        EXPECT(write(part->done[1], "", 1) == 1);
        wait_for_go(part);
    }
    if (strcmp(part->kind, "kill") == 0)
        pause();
    _exit(0);
}

static void start_part(struct part *part, const char *name, const char *kind) {
    part->name = name;
    part->kind = kind;
    MUST(pipe2(part->go, O_CLOEXEC));
    MUST(pipe2(part->done, O_CLOEXEC));
    part->pid = MUST(fork());
    if (part->pid == 0)
        play_part(part);
}

/* The command has told of the one that was killed, or has nothing to tell: the trace grows no more. */
static void await_command(void) {
    const char *trace = getenv("TRACE_FILE");
    char text[1 << 16];
    for (long limit = now_ms() + 1000; trace && now_ms() < limit; pause_a_moment()) {
        int fd = MUST(open(trace, O_RDONLY | O_CLOEXEC));
        ssize_t length = read(fd, text, sizeof text - 1);
        MUST(close(fd));
        text[length > 0 ? length : 0] = '\0';
        if (strstr(text, "SIGKILL"))
            return;
    }
}

static void begin_part(const struct part *part) {
    EXPECT(write(part->go[1], "", 1) == 1);
    if (strcmp(part->kind, "kill") == 0)
        MUST(kill(part->pid, SIGKILL));
}

/* It has given the connection up. */
static void finish_part(const struct part *part) {
    char byte;
    bool lives = strcmp(part->kind, "close") == 0;
    if (lives) {
        EXPECT(read(part->done[0], &byte, 1) == 1);
        EXPECT(write(part->go[1], "", 1) == 1);
    }
    int status;
    EXPECT(waitpid(part->pid, &status, 0) == part->pid);
    EXPECT(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    if (WIFSIGNALED(status))
        await_command();
}

/* It has closed, but has not ended: to have closed is enough. */
static void run_part(const struct part *part) {
    char byte;
    begin_part(part);
    if (strcmp(part->kind, "close") == 0)
        EXPECT(read(part->done[0], &byte, 1) == 1);
    else
        finish_part(part);
}

static int play_processes(char **arguments) {
    struct part a, b;
    pair = make_pair();
    stops_open();
    struct stop *stop = stop_arm(arguments[1], strcmp(arguments[0], "kill") == 0 ? "closetrace" : "A");
    start_part(&a, "A", arguments[0]);
    start_part(&b, "B", arguments[2]);
    MUST(close(pair.c));
    begin_part(&a);
    stop_await(stop);
    run_part(&b);
    stop_open(stop);
    finish_part(&a);
    if (strcmp(b.kind, "close") == 0) {
        EXPECT(write(b.go[1], "", 1) == 1);
        MUST(waitpid(b.pid, NULL, 0));
    }
    tell_end(pair.s);
    return 0;
}

/* ---- threads ---- */

static int nothing;

/* The call of that kind on C's number; what is gone already is not there to be closed. */
static void end_number(const char *kind) {
    if (strcmp(kind, "close") == 0)
        close(pair.c);
    else if (strcmp(kind, "dup2") == 0)
        MUST(dup2(nothing, pair.c));
    else if (strcmp(kind, "close_range") == 0)
        MUST(close_range((unsigned)pair.c, (unsigned)pair.c, 0));
    else if (strcmp(kind, "shutdown") == 0)
        shutdown(pair.c, SHUT_WR);
    else if (strcmp(kind, "dup") == 0) {
        int copy = dup(pair.c);
        if (copy >= 0)
            MUST(close(copy));
    } else
        fail(kind);
}

/* Thread A, on its way to a stop. */
struct held {
    pthread_t thread;
    struct stop *stop;
};

static void *play_thread(void *kind) {
    stops_name_thread("A");
    end_number(kind);
    return NULL;
}

static struct held hold(void *(*body)(void *), const char *kind, const char *where) {
    struct held held = {.stop = stop_arm(where, "A")};
    EXPECT(pthread_create(&held.thread, NULL, body, (void *)(uintptr_t)kind) == 0);
    stop_await(held.stop);
    return held;
}

static void let_go(const struct held *held) {
    stop_open(held->stop);
    EXPECT(pthread_join(held->thread, NULL) == 0);
}

static int play_threads(char **arguments) {
    nothing = MUST(open("/dev/null", O_RDWR));
    pair = make_pair();
    stops_open();
    struct held a = hold(play_thread, arguments[0], arguments[1]);
    end_number(arguments[2]);
    let_go(&a);
    close(pair.c);
    tell_end(pair.s);
    return 0;
}

/* The number, which was C's, is D's. */
static void put_there(const struct pair *other) {
    EXPECT(fcntl(other->c, F_DUPFD, pair.c) == pair.c);
    introduce("D", pair.c);
    MUST(close(other->c));
}

/* number-again: A's close is held when it has closed; the number is another connection's when A goes on. */
static int play_number_again(char **arguments) {
    struct pair other = quiet_pair(AF_INET);
    (void)arguments;
    pair = make_pair();
    stops_open();
    struct held a = hold(play_thread, "close", "closing: closed, not settled");
    put_there(&other);
    let_go(&a);
    MUST(close(pair.c));
    tell_end(other.s);
    tell_end(pair.s);
    return 0;
}

/*
 * anothers-number close|shutdown: A's call is held before it is made; meanwhile the number is closed, and is another
 * connection's, of which the call is then.
 */
static int play_anothers_number(char **arguments) {
    const bool closes = strcmp(arguments[0], "close") == 0;
    struct pair other = quiet_pair(AF_INET);
    pair = make_pair();
    stops_open();
    struct held a =
        hold(play_thread, arguments[0], closes ? "closing: left, not closed" : "shutdown: looked, not made");
    MUST(close(pair.c));
    put_there(&other);
    let_go(&a);
    if (!closes)
        MUST(close(pair.c));
    tell_end(other.s);
    tell_end(pair.s);
    return 0;
}

/* ---- the end of a process ---- */

/*
 * A child's thread A is held at the first place; its main thread ends the process, and is held at the second, if it
 * comes there. Then A goes on, and is finished, or held up by the main thread's end.
 */
struct end {
    void *(*body)(void *);
    const char *kind, *first, *second;
};

static pid_t start_end(const struct end *end, struct stop *first, int done) {
    pthread_t thread;
    pid_t child = MUST(fork());
    if (child > 0)
        return child;
    stops_name_thread("main");
    MUST(close(pair.s));
    EXPECT(pthread_create(&thread, NULL, end->body, (void *)(uintptr_t)end->kind) == 0);
    stop_await(first);
    MUST(close(done));
    _exit(0);
}

/* That place is come to, or the process is at its end. */
static void await_stop_or_end(const struct stop *stop, pid_t child) {
    siginfo_t info = {0};
    WAIT_UNTIL(atomic_load(&stop->state) == STOP_HELD ||
               (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child));
}

static int done[2]; /* a pipe: A has come back from its call */

static void *close_and_say(void *kind) {
    play_thread(kind);
    EXPECT(write(done[1], "", 1) == 1);
    return NULL;
}

static int play_end(const struct end *end) {
    char byte;
    pair = make_pair();
    stops_open();
    MUST(pipe2(done, O_CLOEXEC));
    struct stop *first = stop_arm(end->first, "A"), *second = stop_arm(end->second, "main");
    pid_t child = start_end(end, first, done[0]);
    tell("CHILD=%d", child);
    MUST(close(done[1]));
    MUST(close(pair.c));
    await_stop_or_end(second, child);
    stop_open(first);
    if (end->body == close_and_say)
        MUST(read(done[0], &byte, 1));
    stop_open(second);
    MUST(waitpid(child, NULL, 0));
    tell_end(pair.s);
    return 0;
}

/* Closed by a thread that has not told of it yet when the process ends. */
static int play_end_meanwhile(char **arguments) {
    (void)arguments;
    return play_end(&(struct end){play_thread, "close", "closing: closed, not settled", "leaving: awaits who closes"});
}

/* A thread's event is written at the moment in which the process has told of its end. */
static int play_writes_meanwhile(char **arguments) {
    (void)arguments;
    return play_end(&(struct end){close_and_say, "close", "log: under way, not written", "log: awaits who writes"});
}

static void *end_process(void *unused) {
    (void)unused;
    stops_name_thread("A");
    _exit(0);
    return NULL;
}

/* Two threads end the process: the second must not cut off what the first tells. */
static int play_two_ends(char **arguments) {
    (void)arguments;
    return play_end(&(struct end){end_process, NULL, "leaving: left, not counted", "leaving: awaits who tells"});
}

static atomic_bool *is_done;

static void *close_peer(void *unused) {
    stops_name_thread("B");
    MUST(close(pair.s));
    atomic_store(is_done, true);
    return unused;
}

/* Two threads have a child's first events. */
static int play_first_events(char **arguments) {
    (void)arguments;
    pair = make_pair();
    stops_open();
    atomic_bool finished = false;
    is_done = &finished;
    pid_t child = MUST(fork());
    if (child == 0) {
        pthread_t b;
        struct held a = hold(play_thread, "close", "log: starting, not started");
        struct stop *waits = stop_arm("log: awaits the start", "B");
        EXPECT(pthread_create(&b, NULL, close_peer, NULL) == 0);
        WAIT_UNTIL(atomic_load(&finished) || atomic_load(&waits->state) == STOP_HELD);
        let_go(&a);
        stop_open(waits);
        EXPECT(pthread_join(b, NULL) == 0);
        _exit(0);
    }
    tell("CHILD=%d", child);
    MUST(waitpid(child, NULL, 0));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* ---- claims of the end ---- */

/*
 * claim-was-wrong close|exit|exec: a process says in advance that its end is the connection's, which a child of it that
 * nobody has seen come has too. Then that ends it so.
 */
static int play_claim_was_wrong(char **arguments) {
    struct part a = {.name = "A", .kind = "exit"}, b = {.name = "B", .kind = arguments[0]};
    pair = make_pair();
    stops_open();
    MUST(pipe2(a.go, O_CLOEXEC));
    MUST(pipe2(b.go, O_CLOEXEC));
    MUST(pipe2(b.done, O_CLOEXEC));
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    a.pid = MUST(fork());
    if (a.pid == 0) {
        b.pid = MUST(fork_unseen());
        if (b.pid == 0)
            play_part(&b);
        tell("B=%d", b.pid);
        play_part(&a);
    }
    MUST(close(pair.c));
    begin_part(&a);
    MUST(waitpid(a.pid, NULL, 0));
    b.pid = -1; /* the only child that is left */
    begin_part(&b);
    if (strcmp(b.kind, "close") == 0) {
        char byte;
        EXPECT(read(b.done[0], &byte, 1) == 1);
        EXPECT(write(b.go[1], "", 1) == 1);
    }
    tell_end(pair.s);
    MUST(waitpid(-1, NULL, 0));
    return 0;
}

/*
 * Thread A has found C on a number that is a unix socket's when it goes on; the process that has claimed C's end, and
 * rightly so, is gone; one that closed at the same moment has not asked yet whose the end is.
 */
static int play_claim_was_right(char **arguments) {
    struct part ends, closes;
    int channel[2];
    (void)arguments;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
    pair = make_pair();
    stops_open();
    start_part(&ends, "ends", "exit");
    start_part(&closes, "closes", "close");
    struct held a = hold(play_thread, "close", "closing: found, not looked");
    MUST(close(pair.c));
    EXPECT(fcntl(channel[0], F_DUPFD, pair.c) == pair.c);
    struct stop *left = stop_arm("closing: left, not closed", "closes"),
                *judged = stop_arm("closing: judged, not claimed", "closes");
    begin_part(&closes);
    stop_await(left);
    run_part(&ends);
    stop_open(left);
    stop_await(judged);
    let_go(&a);
    stop_open(judged);
    finish_part(&closes);
    tell_end(pair.s);
    return 0;
}

/* ---- a thread inside a call on the socket ---- */

static _Atomic int reader_tid;

static void *read_one(void *unused) {
    char byte;
    (void)unused;
    stops_name_thread("reader");
    reader_tid = (int)syscall(SYS_gettid);
    recv(pair.c, &byte, 1, 0);
    return NULL;
}

static bool sleeps_in_call(int tid) {
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    int fd = MUST(open(path, O_RDONLY | O_CLOEXEC));
    ssize_t length = read(fd, text, sizeof text - 1);
    MUST(close(fd));
    return length > 0 && text[0] != 'r';
}

/* The call comes back when A has found the thread in it, and before A has said that it is expected to tell. */
static int play_call_returns(char **arguments) {
    pthread_t reader;
    (void)arguments;
    pair = make_pair();
    stops_open();
    EXPECT(pthread_create(&reader, NULL, read_one, NULL) == 0);
    WAIT_UNTIL(reader_tid && sleeps_in_call(reader_tid));
    struct held a = hold(play_thread, "close", "closing: found a call, does not expect it");
    send_bytes(pair.s, 1);
    EXPECT(pthread_join(reader, NULL) == 0);
    let_go(&a);
    tell_end(pair.s);
    return 0;
}

static volatile bool spins = true;

static void *spin(void *unused) {
    while (spins)
        ;
    return unused;
}

static void run_on(pthread_t thread, int cpu, int policy) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    EXPECT(pthread_setaffinity_np(thread, sizeof set, &set) == 0);
    EXPECT(pthread_setschedparam(thread, policy, &(struct sched_param){0}) == 0);
}

/* Two processors that this process may use. */
static void find_processors(int found[2]) {
    cpu_set_t set;
    int count = 0;
    MUST(sched_getaffinity(0, sizeof set, &set));
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET(cpu, &set))
            found[count++] = cpu;
    if (count < 2)
        skip("two processors are needed");
}

/* A thread was woken inside its call, and gets no processor: the last descriptor is closed meanwhile. */
static int play_call_starved(char **arguments) {
    enum { SPINNERS = 8 };
    pthread_t reader, spinners[SPINNERS];
    int processors[2];
    (void)arguments;
    find_processors(processors);
    pair = make_pair();
    run_on(pthread_self(), processors[1], SCHED_OTHER);
    EXPECT(pthread_create(&reader, NULL, read_one, NULL) == 0);
    run_on(reader, processors[0], SCHED_IDLE);
    WAIT_UNTIL(reader_tid && sleeps_in_call(reader_tid));
    for (int i = 0; i < SPINNERS; i++) {
        EXPECT(pthread_create(&spinners[i], NULL, spin, NULL) == 0);
        run_on(spinners[i], processors[0], SCHED_OTHER);
    }
    tell("TID=%d", reader_tid);
    send_bytes(pair.s, 1);
    WAIT_UNTIL(!sleeps_in_call(reader_tid));
    MUST(close(pair.c));
    spins = false;
    for (int i = 0; i < SPINNERS; i++)
        EXPECT(pthread_join(spinners[i], NULL) == 0);
    EXPECT(pthread_join(reader, NULL) == 0);
    tell_end(pair.s);
    return 0;
}

/* ---- a descriptor is sent ---- */

static int channel[2];
static atomic_bool is_sent;

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
};

static void send_descriptor(int fd) {
    char byte = 0;
    union control control = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    MUST(sendmsg(channel[0], &message, 0));
}

static void receive_descriptor(void) {
    char byte;
    union control control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    MUST(recvmsg(channel[1], &message, 0));
}

static void *send_it(void *unused) {
    stops_name_thread("A");
    send_descriptor(pair.c);
    is_sent = true;
    return unused;
}

/* The receiver takes the copy while it is counted who has the socket. */
static int play_received_meanwhile(char **arguments) {
    pthread_t sender;
    int go[2], done[2];
    char byte;
    (void)arguments;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
    MUST(pipe2(go, O_CLOEXEC));
    MUST(pipe2(done, O_CLOEXEC));
    pid_t receiver = MUST(fork());
    if (receiver == 0) {
        MUST(read(go[0], &byte, 1));
        receive_descriptor();
        EXPECT(write(done[1], "", 1) == 1);
        MUST(read(go[0], &byte, 1));
        _exit(0);
    }
    pair = make_pair();
    stops_open();
    struct stop *stop = stop_arm("references: descriptors counted, copies in flight not", "A");
    EXPECT(pthread_create(&sender, NULL, send_it, NULL) == 0);
    WAIT_UNTIL(is_sent || atomic_load(&stop->state) == STOP_HELD);
    EXPECT(write(go[1], "", 1) == 1);
    EXPECT(read(done[0], &byte, 1) == 1);
    stop_open(stop);
    EXPECT(pthread_join(sender, NULL) == 0);
    MUST(close(pair.c));
    EXPECT(write(go[1], "", 1) == 1);
    MUST(waitpid(receiver, NULL, 0));
    tell_end(pair.s);
    return 0;
}

enum { WORKSPACES = 8 };

static void *close_fd(void *fd) {
    MUST(close(*(int *)fd));
    return NULL;
}

/* All workspaces are in use, and there is no memory for one more: C is closed. */
static int play_no_workspace(char **arguments) {
    pthread_t closers[WORKSPACES];
    struct pair others[WORKSPACES];
    struct stop *held[WORKSPACES];
    struct rlimit before;
    (void)arguments;
    pair = make_pair();
    for (int i = 0; i < WORKSPACES; i++)
        others[i] = make_pair();
    stops_open();
    for (int i = 0; i < WORKSPACES; i++) {
        held[i] = stop_arm("closing: closed, not asked", NULL);
        EXPECT(pthread_create(&closers[i], NULL, close_fd, &others[i].c) == 0);
        stop_await(held[i]);
    }
    MUST(getrlimit(RLIMIT_AS, &before));
    MUST(setrlimit(RLIMIT_AS, &(struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max}));
    MUST(close(pair.c));
    MUST(setrlimit(RLIMIT_AS, &before));
    for (int i = 0; i < WORKSPACES; i++) {
        stop_open(held[i]);
        EXPECT(pthread_join(closers[i], NULL) == 0);
    }
    return 0;
}

/* A child has been exec'd with the connection, and shares nothing with us. It ends when our close has returned. */
static int play_stranger_ends(char **arguments) {
    pthread_t closer;
    int go[2];
    (void)arguments;
    MUST(pipe2(go, O_CLOEXEC));
    pair = make_pair();
    pid_t stranger = MUST(fork());
    if (stranger == 0) {
        MUST(dup2(go[0], STDIN_FILENO));
        MUST(close(pair.s));
        execl("/bin/cat", "cat", (char *)NULL);
        fail("exec");
    }
    MUST(close(go[0]));
    stops_open();
    struct stop *stop = stop_arm("closing: closed, not asked", "A");
    EXPECT(pthread_create(&closer, NULL, play_thread, "close") == 0);
    stop_await(stop);
    MUST(close(go[1]));
    EXPECT(waitpid(stranger, NULL, 0) == stranger);
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL); /* so long that the kernel is asked too late */
    stop_open(stop);
    EXPECT(pthread_join(closer, NULL) == 0);
    tell_end(pair.s);
    return 0;
}

SCENES({"processes", play_processes}, {"threads", play_threads}, {"number-again", play_number_again},
       {"anothers-number", play_anothers_number}, {"writes-meanwhile", play_writes_meanwhile},
       {"first-events", play_first_events}, {"claim-was-wrong", play_claim_was_wrong},
       {"claim-was-right", play_claim_was_right}, {"end-meanwhile", play_end_meanwhile}, {"two-ends", play_two_ends},
       {"call-returns", play_call_returns}, {"call-starved", play_call_starved},
       {"received-meanwhile", play_received_meanwhile}, {"stranger-ends", play_stranger_ends},
       {"no-workspace", play_no_workspace})
