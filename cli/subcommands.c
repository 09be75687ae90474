/* The table of subcommands. */
#include "command.h"
#include "run/run.h"

const struct subcommand subcommands[] = {
    {"run", command_run, "run a program and trace how it ends its TCP connections"},
    {"now", command_now, "what stands now, who holds it, and what is wrong: of programs that nobody traces"},
    {"print", command_print, "show a trace as text"},
    {"report", command_report, "what became of every connection, and what is wrong"},
    {"grep", command_grep, "the events that match"},
    {0},
};
