#include <string.h>

#include "rule.h"

/* Every function that a rule can name, its family's name first. tests/unit/test_rule.c holds it against hooks.def. */
static const struct rule_call calls[] = {
    {"close", RULE_CLOSE},
    {"close_range", RULE_CLOSE},
    {"closefrom", RULE_CLOSE},
    {"fclose", RULE_CLOSE},
    {"pclose", RULE_CLOSE},
    {"freopen", RULE_CLOSE},
    {"freopen64", RULE_CLOSE},

    {"shutdown", RULE_SHUTDOWN},

    {"write", RULE_WRITE},
    {"writev", RULE_WRITE},
    {"pwritev2", RULE_WRITE},
    {"send", RULE_WRITE},
    {"sendto", RULE_WRITE},
    {"sendmsg", RULE_WRITE},
    {"sendmmsg", RULE_WRITE},
    {"sendfile", RULE_WRITE},
    {"splice", RULE_WRITE},
    {"dprintf", RULE_WRITE},
    {"vdprintf", RULE_WRITE},
    {"fwrite", RULE_WRITE},
    {"fwrite_unlocked", RULE_WRITE},
    {"fputs", RULE_WRITE},
    {"fputs_unlocked", RULE_WRITE},
    {"fputc", RULE_WRITE},
    {"fputc_unlocked", RULE_WRITE},
    {"putc", RULE_WRITE},
    {"putc_unlocked", RULE_WRITE},
    {"putchar", RULE_WRITE},
    {"putchar_unlocked", RULE_WRITE},
    {"puts", RULE_WRITE},
    {"putw", RULE_WRITE},
    {"printf", RULE_WRITE},
    {"vprintf", RULE_WRITE},
    {"fprintf", RULE_WRITE},
    {"vfprintf", RULE_WRITE},
    {"perror", RULE_WRITE},
    {"fflush", RULE_WRITE},
    {"fflush_unlocked", RULE_WRITE},
    {"fputwc", RULE_WRITE},
    {"fputwc_unlocked", RULE_WRITE},
    {"putwc", RULE_WRITE},
    {"putwc_unlocked", RULE_WRITE},
    {"putwchar", RULE_WRITE},
    {"putwchar_unlocked", RULE_WRITE},
    {"fputws", RULE_WRITE},
    {"fputws_unlocked", RULE_WRITE},
    {"wprintf", RULE_WRITE},
    {"vwprintf", RULE_WRITE},
    {"fwprintf", RULE_WRITE},
    {"vfwprintf", RULE_WRITE},

    {"read", RULE_READ},
    {"readv", RULE_READ},
    {"preadv2", RULE_READ},
    {"recv", RULE_READ},
    {"recvfrom", RULE_READ},
    {"recvmsg", RULE_READ},
    {"recvmmsg", RULE_READ},
    {"fread", RULE_READ},
    {"fread_unlocked", RULE_READ},
    {"fgets", RULE_READ},
    {"fgets_unlocked", RULE_READ},
    {"fgetc", RULE_READ},
    {"fgetc_unlocked", RULE_READ},
    {"getc", RULE_READ},
    {"getc_unlocked", RULE_READ},
    {"getchar", RULE_READ},
    {"getchar_unlocked", RULE_READ},
    {"getw", RULE_READ},
    {"getline", RULE_READ},
    {"getdelim", RULE_READ},
    {"scanf", RULE_READ},
    {"vscanf", RULE_READ},
    {"fscanf", RULE_READ},
    {"vfscanf", RULE_READ},
    {"fgetwc", RULE_READ},
    {"fgetwc_unlocked", RULE_READ},
    {"getwchar", RULE_READ},
    {"getwchar_unlocked", RULE_READ},
    {"getwc", RULE_READ},
    {"fgetws", RULE_READ},
    {"fgetws_unlocked", RULE_READ},
    {"wscanf", RULE_READ},
    {"vwscanf", RULE_READ},
    {"fwscanf", RULE_READ},
    {"vfwscanf", RULE_READ},

    {"connect", RULE_CONNECT},

    {"accept", RULE_ACCEPT},
    {"accept4", RULE_ACCEPT},

    {"exit", RULE_EXIT},
    {"_exit", RULE_EXIT},
    {"_Exit", RULE_EXIT},
    {"quick_exit", RULE_EXIT},
    {"return", RULE_EXIT},

    {"fork", RULE_FORK},
    {"_Fork", RULE_FORK},
    {"vfork", RULE_FORK},
    {"clone", RULE_FORK},
    {"posix_spawn", RULE_FORK},
    {"posix_spawnp", RULE_FORK},
    {"system", RULE_FORK},
    {"popen", RULE_FORK},
    {"daemon", RULE_FORK},
    {"forkpty", RULE_FORK},

    {"dup", RULE_DUP},
    {"dup2", RULE_DUP},
    {"dup3", RULE_DUP},
    {"fcntl", RULE_DUP},
};

enum { CALLS = sizeof calls / sizeof *calls };

const struct rule_call *rule_call_at(unsigned i) {
    return i < CALLS ? &calls[i] : NULL;
}

const struct rule_call *rule_call_find(const char *name, size_t length) {
    for (unsigned i = 0; i < CALLS; i++)
        if (strlen(calls[i].name) == length && memcmp(calls[i].name, name, length) == 0)
            return &calls[i];
    return NULL;
}
