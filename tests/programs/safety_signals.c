/*
 * Handlers that use sockets, on small stacks, in the middle of whatever the library does; and handlers that do not
 * come back. Each scene does its work and checks it.
 */
#include "pair.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/auxv.h>
#include <sys/time.h>

static int listener;
static struct sockaddr_storage listener_name;

static void start_listener(void) {
    listener = listen_on_loopback(AF_INET, 128);
    listener_name = name_of(listener);
}

/* A connection through the listener that all share: whoever accepts gets one, be it another's. */
static struct pair shared_pair(void) {
    struct pair pair;
    pair.c = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(pair.c, (struct sockaddr *)&listener_name, sizeof(struct sockaddr_in)));
    pair.s = MUST(accept(listener, NULL, NULL));
    return pair;
}

/* One round with TCP: open, duplicate, write, half-close, close. Async-signal-safe. */
static void play_round(void) {
    struct pair pair = shared_pair();
    int copy = MUST(dup(pair.c));
    EXPECT(write(pair.s, "x", 1) == 1);
    MUST(dup2(pair.s, copy));
    MUST(shutdown(pair.c, SHUT_WR));
    MUST(close(pair.c));
    MUST(close(copy));
    MUST(close(pair.s));
}

static volatile sig_atomic_t handled;

/* ---- a timer whose handler does what the program does ---- */

/* Once, after a time that differs each time: a timer with an interval would leave the program no time of its own. */
static void set_timer(void) {
    static unsigned turn;
    struct itimerval timer = {.it_value.tv_usec = 20 + turn++ * 37 % 1500};
    MUST(setitimer(ITIMER_REAL, &timer, NULL));
}

static void stop_timer(void) {
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
}

static void play_in_handler(int signal) {
    int saved = errno;
    (void)signal;
    play_round();
    handled++;
    set_timer();
    errno = saved;
}

/* Interrupted calls go on (SA_RESTART); SIGALRM is blocked in its handler. */
static int timer(char **arguments) {
    (void)arguments;
    start_listener();
    struct sigaction action = {.sa_handler = play_in_handler, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGALRM, &action, NULL));
    set_timer();
    int rounds = 0;
    for (long limit = now_ms() + 20000; (handled < 150 || rounds < 150) && now_ms() < limit; rounds++)
        play_round();
    stop_timer();
    EXPECT(handled >= 150 && rounds >= 150);
    return 0;
}

/* Handlers that interrupt one another: a signal that is not blocked in its own handler, to a certain depth. */
static volatile sig_atomic_t depth, deepest;

static void play_nested(int signal) {
    int saved = errno;
    (void)signal;
    if (depth < 6) {
        depth++;
        set_timer();
        if (depth > deepest)
            deepest = depth;
        play_round();
        handled++;
        depth--;
    }
    errno = saved;
}

static int nested(char **arguments) {
    (void)arguments;
    start_listener();
    struct sigaction action = {.sa_handler = play_nested, .sa_flags = SA_RESTART | SA_NODEFER};
    MUST(sigaction(SIGALRM, &action, NULL));
    set_timer();
    for (long limit = now_ms() + 20000; (handled < 150 || deepest < 3) && now_ms() < limit;) {
        set_timer();
        play_round();
    }
    stop_timer();
    EXPECT(handled >= 150 && deepest >= 3);
    return 0;
}

/* ---- small stacks ---- */

enum { PAGE = 4096, PATTERN = 0x5a };

static char *stack_low;
static size_t stack_size;

/* A stack with a page below it that cannot be touched. */
static void make_stack(size_t size) {
    size_t pages = (size + PAGE - 1) / PAGE * PAGE;
    char *memory = mmap(NULL, PAGE + pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(memory != MAP_FAILED);
    MUST(mprotect(memory, PAGE, PROT_NONE));
    stack_low = memory + PAGE; /* the size is a number of bytes up from there */
    stack_size = size;
    memset(stack_low, PATTERN, size);
    stack_t stack = {.ss_sp = stack_low, .ss_size = size};
    MUST(sigaltstack(&stack, NULL));
}

static size_t stack_used(void) {
    size_t untouched = 0;
    while (untouched < stack_size && stack_low[untouched] == PATTERN)
        untouched++;
    return stack_size - untouched;
}

static struct pair small;
static const char *what;

static void act_on_small_stack(int signal) {
    (void)signal;
    if (strncmp(what, "close", 5) == 0 && strcmp(what, "close_range") != 0)
        MUST(close(small.c)); /* close-shared: a copy stays, the holders are searched for */
    else if (strcmp(what, "dup2") == 0)
        MUST(dup2(0, small.c));
    else if (strcmp(what, "shutdown") == 0)
        MUST(shutdown(small.c, SHUT_WR));
    else if (strcmp(what, "refused-write") == 0)
        EXPECT(write(small.c, "x", 1) == -1 && errno == EPIPE);
    else if (strcmp(what, "close_range") == 0)
        MUST(close_range((unsigned)small.c, (unsigned)small.c, 0));
    else if (strcmp(what, "open") == 0)
        play_round();
    else if (strcmp(what, "fork") == 0) {
        int status = -1;
        pid_t child = MUST(_Fork());
        if (child == 0) {
            MUST(close(small.c));
            _exit(0);
        }
        MUST(waitpid(child, &status, 0));
        EXPECT(status == 0);
    } else if (strcmp(what, "vfork") == 0) {
        pid_t child =
            MUST(vfork()); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
        int status = -1;
        if (child == 0)
            _exit(close(small.c));
        MUST(waitpid(child, &status, 0));
        EXPECT(status == 0);
    } else if (strcmp(what, "exit") == 0)
        _exit(0);
    else
        fail("no such act");
    handled++;
}

/* small-stack BYTES ACT: the signal's own frame comes on top of the bytes. */
static int small_stack(char **arguments) {
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    what = arguments[1];
    start_listener();
    small = shared_pair();
    int copy = strcmp(what, "close-shared") == 0 ? MUST(dup(small.c)) : -1;
    if (strcmp(what, "refused-write") == 0) {
        MUST(shutdown(small.c, SHUT_WR));
        signal(SIGPIPE, SIG_IGN);
    }
    make_stack(frame + (size_t)atol(arguments[0]));
    struct sigaction action = {.sa_handler = act_on_small_stack, .sa_flags = SA_ONSTACK};
    MUST(sigaction(SIGUSR1, &action, NULL));
    MUST(raise(SIGUSR1));
    EXPECT(handled == 1);
    tell("USED=%zu", stack_used() - frame);
    if (copy >= 0)
        MUST(close(copy));
    return 0;
}

/* ---- handlers that jump away ---- */

static sigjmp_buf again;
static volatile sig_atomic_t armed, jumps;

static void jump_away(int signal) {
    (void)signal;
    if (armed) {
        jumps++;
        siglongjmp(again, 1);
    }
}

static void close_what_is_open(void) {
    for (int fd = listener + 1; fd < 64; fd++)
        close(fd);
}

/* Again and again away from the middle of a round, wherever it is; then everything still works. */
static int jump(char **arguments) {
    volatile long next = 30;
    start_listener();
    struct sigaction action = {.sa_handler = jump_away};
    MUST(sigaction(SIGALRM, &action, NULL));
    long limit = now_ms() + 20000;
    while (jumps < 200 && now_ms() < limit) {
        if (sigsetjmp(again, 1) == 0) {
            struct itimerval timer = {.it_value.tv_usec = next};
            armed = 1;
            MUST(setitimer(ITIMER_REAL, &timer, NULL));
            for (;;)
                play_round();
        }
        armed = 0;
        next = next < 3000 ? next + 41 : 30;
        close_what_is_open();
        MUST(fcntl(listener, F_SETFL, O_NONBLOCK)); /* connections that nobody has accepted */
        for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
            MUST(close(fd));
        MUST(fcntl(listener, F_SETFL, 0));
    }
    EXPECT(jumps == 200);
    MUST(close(listener));
    struct pair pair = arguments[0] ? make_pair() : quiet_pair(AF_INET);
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    return 0;
}

/* Out of a write that may raise SIGPIPE itself: it is not left blocked. No mask is saved, as longjmp() does. */
static jmp_buf plainly_again;

static void jump_plainly(int signal) {
    (void)signal;
    longjmp(plainly_again, 1);
}

static int jump_from_write(char **arguments) {
    (void)arguments;
    struct pair pair = quiet_pair(AF_INET);
    fill(pair.c);
    /* More than there can be room for, whatever the peer's kernel takes meanwhile. */
    static char buffer[1 << 20], text[sizeof buffer / 2];
    FILE *stream = fdopen(pair.c, "w");
    EXPECT(stream && setvbuf(stream, buffer, _IOFBF, sizeof buffer) == 0);
    EXPECT(fwrite(text, 1, sizeof text, stream) == sizeof text);
    signal(SIGUSR1, jump_plainly);
    if (setjmp(plainly_again) == 0) {
        pid_t parent = getpid(), child = MUST(fork());
        if (child == 0) {
            char path[64], contents[256] = "";
            snprintf(path, sizeof path, "/proc/%d/stat", parent);
            while (!strstr(contents, ") S ")) {
                int stat = MUST(open(path, O_RDONLY));
                EXPECT(read(stat, contents, sizeof contents - 1) > 0);
                MUST(close(stat));
            }
            kill(parent, SIGUSR1);
            _exit(0);
        }
        fflush(stream);
        fail("fflush() came back");
    }
    sigset_t mask;
    MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
    tell("SIGPIPE blocked: %d", sigismember(&mask, SIGPIPE));
    _exit(0); /* exit() would write what is in the buffer */
}

/* ---- all the others ---- */

/* sigwait() and a signal that is queued get what was sent, not what the library took off on the way. */
static int queued(char **arguments) {
    (void)arguments;
    start_listener();
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    MUST(sigprocmask(SIG_BLOCK, &all, NULL));
    for (int number = 1; number < SIGRTMIN + 2; number++)
        if (number != SIGKILL && number != SIGSTOP && number != SIGCONT && (number < 32 || number >= SIGRTMIN) &&
            number != SIGALRM && number != SIGTSTP && number != SIGTTIN && number != SIGTTOU)
            MUST(sigqueue(getpid(), number, (union sigval){.sival_int = number}));
    play_round();
    sigset_t pending;
    MUST(sigpending(&pending));
    for (siginfo_t info; sigtimedwait(&all, &info, &(struct timespec){0}) > 0;)
        tell("took %d with %d", info.si_signo, info.si_value.sival_int);
    return 0;
}

SCENES({"timer", timer}, {"nested", nested}, {"small-stack", small_stack}, {"jump", jump},
       {"jump-from-write", jump_from_write}, {"queued", queued})
