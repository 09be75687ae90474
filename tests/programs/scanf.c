/*
 * scanf() and its like on a connection, by each of the names that libc has for them: which one a program calls was
 * settled by the headers that it was compiled with.
 *
 *     scanf PREFIX NAME          PREFIX: gnu (none), isoc99, isoc23; NAME: scanf, vfwscanf ...
 *
 * C is standard input; S has sent a number and its FIN. Told: RET and VALUE of the first call, RET2 of the second.
 */
#include "pair.h"

#include <dlfcn.h>
#include <wchar.h>

static void *function;
static bool with_file, with_list, wide;

/* libc's own, not only a hook's. */
static bool in_libc(const char *name) {
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    return libc && dlsym(libc, name);
}

static int with_arguments(const void *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int result = with_file ? ((int (*)(FILE *, const void *, va_list))function)(stdin, format, arguments)
                           : ((int (*)(const void *, va_list))function)(format, arguments);
    va_end(arguments);
    return result;
}

static int scan(int *value) {
    const void *format = wide ? (const void *)L"%d" : (const void *)"%d";
    if (with_list)
        return with_arguments(format, value);
    return with_file ? ((int (*)(FILE *, const void *, ...))function)(stdin, format, value)
                     : ((int (*)(const void *, ...))function)(format, value);
}

int main(int argc, char **argv) {
    char symbol[40];
    EXPECT(argc == 3);
    const char *name = argv[2];
    snprintf(symbol, sizeof symbol, strcmp(argv[1], "gnu") == 0 ? "%s%s" : "__%s_%s",
             strcmp(argv[1], "gnu") == 0 ? "" : argv[1], name);
    with_list = name[0] == 'v';
    with_file = name[with_list] == 'f';
    wide = strchr(name, 'w') != NULL;
    if (!in_libc(symbol))
        skip("this libc has not got it");
    EXPECT((function = dlsym(RTLD_DEFAULT, symbol)) != NULL);

    struct pair pair = make_pair();
    EXPECT(send(pair.s, "12\n", 3, 0) == 3);
    MUST(shutdown(pair.s, SHUT_WR));
    WAIT_UNTIL(ended(pair.c));
    MUST(dup2(pair.c, STDIN_FILENO));
    int value = 0, result = scan(&value);
    tell("RET=%d", result);
    tell("VALUE=%d", value);
    tell("RET2=%d", scan(&value));
    return 0;
}
