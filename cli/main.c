/* closetrace: which subcommand. */
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "command.h"
#include "reader/hash.h"
#include "terminal/say.h"
#include "terminal/standard_fds.h"

static int help(FILE *out) {
    fputs("Usage: closetrace SUBCOMMAND [ARG...]\n"
          "       closetrace --version | --help | --list [LIST]\n\n",
          out);
    for (const struct subcommand *row = subcommands; row->name; row++)
        fprintf(out, "  %-8s %s\n", row->name, row->summary);
    fputs("\nRun closetrace SUBCOMMAND --help for details.\n", out);
    return out == stdout ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv) {
    if (!standard_fds_take())
        return EXIT_FAILED;
    say_begin();
    hash_choose_secret((const unsigned char *)getauxval(AT_RANDOM)); // NOLINT(performance-no-int-to-ptr): so it comes
    if (argc < 2)
        return help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return help(stdout);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("closetrace " CLOSETRACE_VERSION);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--list") == 0)
        return list_words(argv[2]);
    for (const struct subcommand *row = subcommands; row->name; row++)
        if (strcmp(argv[1], row->name) == 0)
            return row->run(argc - 1, argv + 1);
    say("closetrace: unknown subcommand \"%s\": expected run, now, print, report or grep", argv[1]);
    return EXIT_FAILED;
}
