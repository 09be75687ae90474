/*
 * Calls that come before the library's constructor, and after everything that the program does: preinit functions,
 * an indirect function's resolver, exit handlers, destructors.
 */
#include "pair.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CONNECTIONS = 6 };

/* ---- before main ---- */

static int early_results[8];
static struct pair early;

static int answer(void) {
    return 42;
}

static bool wants_early(void) {
    static char words[256]; /* getenv() has nothing to look into yet */
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = read(fd, words, sizeof words - 1);
    close(fd);
    return length > 0 && memmem(words, (size_t)length, "early", 5) != NULL;
}

static void call_everything(int *results) {
    char byte = 'x';
    int status = -1;
    struct pair pair = quiet_pair(AF_INET);
    results[0] = (int)write(pair.c, &byte, 1);
    results[1] = (int)recv(pair.s, &byte, 1, 0);
    results[2] = dup2(pair.c, 40);
    results[3] = (int)syscall(SYS_close, 40);
    pid_t child = fork();
    if (child == 0)
        _exit(close(pair.c) + 3);
    waitpid(child, &status, 0);
    results[4] = WEXITSTATUS(status);
    child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0)
        _exit(4);
    waitpid(child, &status, 0);
    results[5] = WEXITSTATUS(status);
    results[6] = shutdown(pair.c, SHUT_WR);
    results[7] = close(pair.c) + close_range((unsigned)pair.s, (unsigned)pair.s, 0);
}

/* Runs while this program is relocated: the libraries are, their constructors have not run. */
static int (*resolve(void))(void) {
    close(-1);
    return answer;
}
int indirect(void) __attribute__((ifunc("resolve")));

static void before_constructors(int argc, char **argv, char **environment) {
    (void)argc;
    (void)argv;
    (void)environment;
    if (!wants_early())
        return;
    call_everything(early_results);
    early = quiet_pair(AF_INET);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = before_constructors;

static int early_calls(char **arguments) {
    (void)arguments;
    for (int i = 0; i < 8; i++)
        tell("early %d: %d", i, early_results[i]);
    tell("indirect: %d", indirect());
    /* what was opened before anybody looked is known all the same */
    introduce("C", early.c);
    introduce("S", early.s);
    MUST(close(early.c));
    tell_end(early.s);
    MUST(close(early.s));
    return 0;
}

/* Nothing: what a preloaded library does is looked at. */
static int nothing(char **arguments) {
    int results[8];
    (void)arguments;
    call_everything(results);
    for (int i = 0; i < 8; i++)
        tell("result %d: %d", i, results[i]);
    exit(0);
}

/* ---- after main ---- */

static struct pair pairs[CONNECTIONS];

static void give_up(int i, const char *where) {
    int result = close(pairs[i].c);
    tell("%s closes %d: %d", where, i, result);
}

extern int __cxa_thread_atexit_impl(void (*function)(void *), void *object, void *library);
extern void *__dso_handle;

static void in_thread_local_destructor(void *unused) {
    (void)unused;
    give_up(0, "thread-local destructor");
}

static void in_exit_handler(void) {
    give_up(1, "exit handler");
}

static void in_on_exit(int status, void *unused) {
    (void)unused;
    tell("status %d", status);
    give_up(2, "on_exit handler");
}

static void in_quick_exit_handler(void) {
    give_up(3, "quick_exit handler");
}

static bool closes_in_destructor;

__attribute__((destructor)) static void in_destructor(void) {
    if (closes_in_destructor)
        give_up(4, "destructor");
}

/* ending WAY: the handlers close what is theirs; what nobody closes (5) is left to the end. */
static int ending(char **arguments) {
    char name[16];
    for (int i = 0; i < CONNECTIONS; i++) {
        pairs[i] = quiet_pair(AF_INET);
        snprintf(name, sizeof name, "C%d", i);
        introduce(name, pairs[i].c);
    }
    closes_in_destructor = true;
    __cxa_thread_atexit_impl(in_thread_local_destructor, NULL, &__dso_handle);
    EXPECT(atexit(in_exit_handler) == 0 && on_exit(in_on_exit, NULL) == 0);
    EXPECT(at_quick_exit(in_quick_exit_handler) == 0);
    if (strcmp(arguments[0], "exit") == 0)
        exit(3);
    if (strcmp(arguments[0], "quick_exit") == 0)
        quick_exit(3);
    if (strcmp(arguments[0], "_exit") == 0)
        _exit(3);
    return 3;
}

/* Other threads go on while the process ends. */
static void *go_on(void *unused) {
    (void)unused;
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9)};
        nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect(fd, (struct sockaddr *)&nobody, sizeof nobody);
        close(fd);
    }
    return NULL;
}

static int ending_with_threads(char **arguments) {
    (void)arguments;
    for (int i = 0; i < 40; i++) {
        pid_t child = MUST(fork());
        if (child == 0) {
            pthread_t thread;
            for (int j = 0; j < 4; j++)
                EXPECT(pthread_create(&thread, NULL, go_on, NULL) == 0);
            pause_a_moment();
            exit(0);
        }
        int status = -1;
        MUST(waitpid(child, &status, 0));
        EXPECT(status == 0);
    }
    return 0;
}

/* What is in a stream's buffer at the end is written by libc, after all handlers. */
static int buffered_at_exit(char **arguments) {
    (void)arguments;
    char text[32] = "";
    struct pair pair = quiet_pair(AF_INET);
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(close(pair.s));
        FILE *stream = fdopen(pair.c, "w");
        EXPECT(stream && fputs("the last words", stream) >= 0);
        exit(0);
    }
    MUST(close(pair.c));
    EXPECT(recv(pair.s, text, sizeof text, MSG_WAITALL) == 14);
    tell("%s", text);
    int status = -1;
    MUST(waitpid(child, &status, 0));
    return status;
}

SCENES({"early", early_calls}, {"nothing", nothing}, {"ending", ending}, {"ending-with-threads", ending_with_threads},
       {"buffered-at-exit", buffered_at_exit})
