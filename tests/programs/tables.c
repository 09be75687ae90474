/*
 * Tables of descriptors that are not one a process: a thread that has its own, two processes that share one. The
 * connection ends with the last table, not with the last process.
 */
#include "pair.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

static struct pair pair;
static pthread_barrier_t turn;
static const char *how;
static int thread_id;

static void next(void) {
    pthread_barrier_wait(&turn);
}

static int family_of(const char *word) {
    return word && strcmp(word, "v6") == 0 ? AF_INET6 : AF_INET;
}

static void leave_table(void) {
    if (strcmp(how, "unshare") == 0)
        MUST(unshare(CLONE_FILES));
    else if (strcmp(how, "syscall") == 0)
        MUST(syscall(SYS_unshare, CLONE_FILES));
    else /* closes C on the way */
        MUST(close_range((unsigned)pair.c, (unsigned)pair.c, CLOSE_RANGE_UNSHARE));
}

static void *with_own_table(void *unused) {
    (void)unused;
    thread_id = (int)syscall(SYS_gettid);
    leave_table();
    if (strcmp(how, "close_range") != 0)
        MUST(close(pair.c));
    next();
    next(); /* the first thread has closed C */
    return NULL;
}

static struct pair new_pair(const char *family) {
    struct pair made = quiet_pair(family_of(family));
    introduce("C", made.c);
    introduce("S", made.s);
    return made;
}

/* thread-closes unshare|syscall|close_range [v6]: a thread's copy goes first, then the process's. */
static int thread_closes(char **arguments) {
    pthread_t thread;
    how = arguments[0];
    pair = new_pair(arguments[1]);
    MUST(-pthread_barrier_init(&turn, NULL, 2));
    MUST(-pthread_create(&thread, NULL, with_own_table, NULL));
    next();
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED);
    MUST(close(pair.c));
    next();
    MUST(-pthread_join(thread, NULL));
    return 0;
}

static void *closes_last(void *unused) {
    (void)unused;
    thread_id = (int)syscall(SYS_gettid);
    MUST(unshare(CLONE_FILES));
    next();
    next(); /* the first thread has closed C */
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED);
    MUST(close(pair.c));
    return NULL;
}

/* The other way round: the thread's copy keeps the connection. */
static int thread_keeps(char **arguments) {
    pthread_t thread;
    (void)arguments;
    pair = new_pair(NULL);
    MUST(-pthread_barrier_init(&turn, NULL, 2));
    MUST(-pthread_create(&thread, NULL, closes_last, NULL));
    next();
    tell("TID=%d", thread_id);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    next();
    MUST(-pthread_join(thread, NULL));
    return 0;
}

static void *opens(void *unused) {
    (void)unused;
    MUST(unshare(CLONE_FILES));
    MUST(close(pair.c)); /* so that its number is another's there */
    struct pair other = quiet_pair(AF_INET);
    introduce("C", other.c);
    introduce("S", other.s);
    MUST(close(other.c));
    EXPECT(read_to_end(other.s));
    MUST(close(other.s));
    return NULL;
}

/* A connection made in the thread's own table, on a number that the process has as another. */
static int thread_opens(char **arguments) {
    pthread_t thread;
    (void)arguments;
    pair = quiet_pair(AF_INET);
    MUST(-pthread_create(&thread, NULL, opens, NULL));
    MUST(-pthread_join(thread, NULL));
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED);
    return 0;
}

static void *forks(void *unused) {
    (void)unused;
    int status;
    MUST(unshare(CLONE_FILES));
    int copy = MUST(dup2(pair.c, pair.c + 20));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(close(pair.c));
        MUST(close(copy));
        _exit(0);
    }
    tell("CHILD=%d", child);
    MUST(waitpid(child, &status, 0));
    EXPECT(status == 0);
    return NULL;
}

/* A fork by such a thread: the child has what the thread had. */
static int thread_forks(char **arguments) {
    pthread_t thread;
    (void)arguments;
    pair = new_pair(NULL);
    MUST(-pthread_create(&thread, NULL, forks, NULL));
    MUST(-pthread_join(thread, NULL));
    return 0;
}

/* The only thread leaves a table that nobody else has: nothing changes. */
static int alone(char **arguments) {
    (void)arguments;
    pair = new_pair(NULL);
    MUST(unshare(CLONE_FILES));
    int copy = MUST(dup(pair.c));
    MUST(close(pair.c));
    MUST(close(copy));
    return 0;
}

/* ---- a table that two processes have ---- */

static char stack[1 << 16] __attribute__((aligned(16)));
static int ready[2], go[2];

static int in_child(void *unused) {
    char byte;
    (void)unused;
    if (strcmp(how, "child-closes") == 0)
        MUST(close(pair.c));
    EXPECT(write(ready[1], "", 1) == 1);
    if (strcmp(how, "child-closes") != 0)
        EXPECT(read(go[0], &byte, 1) >= 0);
    return 0;
}

/* shared-table exit|_exit|exec|child-closes: what the parent does while the child has its table too. */
static int shared_table(char **arguments) {
    char byte;
    how = arguments[0];
    pair = new_pair(NULL);
    MUST(pipe(ready));
    MUST(pipe(go));
    MUST(fcntl(pair.c, F_SETFD, FD_CLOEXEC));
    int child = MUST(clone(in_child, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL));
    tell("CHILD=%d", child);
    EXPECT(read(ready[0], &byte, 1) == 1);
    if (strcmp(how, "child-closes") == 0) {
        EXPECT(read_to_end(pair.s));
        int status;
        MUST(waitpid(child, &status, 0));
        return 0;
    }
    if (strcmp(how, "close") == 0) {
        MUST(close(pair.c));
        EXPECT(read_to_end(pair.s));
        MUST(kill(child, SIGKILL));
        return 0;
    }
    if (strcmp(how, "exec") == 0)
        execl("/bin/true", "true", (char *)NULL);
    if (strcmp(how, "exit") == 0)
        exit(0);
    _exit(0);
}

SCENES({"thread-closes", thread_closes}, {"thread-keeps", thread_keeps}, {"thread-opens", thread_opens},
       {"thread-forks", thread_forks}, {"alone", alone}, {"shared-table", shared_table})
