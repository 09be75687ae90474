/* closetrace: the table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} subcommands[] = {
    {"run", command_run, "run a program and trace how it ends its TCP connections"},
    {"print", command_print, "show a trace as text"},
    {"report", command_report, "what became of every connection, and what is wrong"},
    {"grep", command_grep, "the events that match"},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

const char *subcommand_name(unsigned i) {
    return i < SUBCOMMANDS ? subcommands[i].name : NULL;
}

static int help(FILE *out) {
    fputs("Usage: closetrace SUBCOMMAND [ARG...]\n"
          "       closetrace --version | --help | --list [LIST]\n\n",
          out);
    for (unsigned i = 0; i < SUBCOMMANDS; i++)
        fprintf(out, "  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
    fputs("\nclosetrace SUBCOMMAND --help tells more.\n", out);
    return out == stdout ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(stdout);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("closetrace " CLOSETRACE_VERSION);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--list") == 0)
        return list_words(argv[2]);
    for (unsigned i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "closetrace: there is no subcommand \"%s\": run, print, report or grep\n", argv[1]);
    return EXIT_FAILED;
}
