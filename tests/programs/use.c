/*
 * What counts as a use of a connection, and who is said to have made a call: a connection is the program's standard
 * output, and calls are made that touch it or do not.
 */
#include "pair.h"

#include <wchar.h>

static int is(const char *how, const char *word) {
    return strcmp(how, word) == 0;
}

static void touch(const char *how) {
    char byte;
    if (is(how, "flush"))
        fflush(stdout);
    else if (is(how, "flush-twice")) {
        fflush(stdout);
        fflush(stdout);
    } else if (is(how, "flush-all"))
        fflush(NULL);
    else if (is(how, "wide-flush")) {
        fwide(stdout, 1);
        fflush(stdout);
    } else if (is(how, "close"))
        fclose(stdout);
    else if (is(how, "empty")) {
        fputs("", stdout);
        fwrite("x", 0, 1, stdout);
    } else if (is(how, "write-nothing")) {
        EXPECT(write(1, "", 0) == 0 && send(1, "", 0, 0) == 0 && read(1, &byte, 0) == 0);
    } else if (is(how, "puts"))
        puts("x");
    else if (is(how, "putc-flush")) {
        putchar('x');
        fflush(stdout);
    } else if (is(how, "wide-puts")) {
        fputws(L"x", stdout);
        fflush(stdout);
    } else if (is(how, "printf"))
        printf("%d", 1);
    else if (is(how, "printf-close")) {
        printf("%d", 1);
        fclose(stdout);
    } else if (is(how, "unbuffered")) {
        setvbuf(stdout, NULL, _IONBF, 0);
        putchar('x');
    } else if (is(how, "write"))
        EXPECT(write(1, "x", 1) == 1);
    else if (is(how, "read-in-vain"))
        EXPECT(recv(1, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    else
        fail("no such use");
}

/* by HOW: a child has the connection as its standard output, and does that; then it ends. */
static int by(char **arguments) {
    struct pair pair = make_pair();
    int status;
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(dup2(pair.c, STDOUT_FILENO));
        MUST(close(pair.c));
        MUST(close(pair.s));
        touch(arguments[0]);
        _exit(0);
    }
    tell("CHILD=%d", child);
    MUST(waitpid(child, &status, 0));
    EXPECT(status == 0);
    return 0;
}

/* A title in the place of its arguments, as setproctitle() leaves it. */
static char **our_arguments;

static int renamed(char **arguments) {
    struct pair pair = make_pair();
    (void)arguments;
    memset(our_arguments[0], 'Z', strlen(our_arguments[0]));
    MUST(close(pair.c));
    return 0;
}

int main(int argc, char **argv) {
    static const struct scene scenes[] = {{"by", by}, {"renamed", renamed}, {0}};
    our_arguments = argv;
    return play_scene(scenes, argc, argv);
}
