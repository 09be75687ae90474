/* The table of subcommands. */
#include "command.h"
#include "run/run.h"

const struct subcommand subcommands[] = {
    {"run", command_run, "run a program and trace how it ends its TCP connections"},
    {"now", command_now, "show the current connections of any program, who holds them, and what is wrong"},
    {"print", command_print, "show a trace as text"},
    {"report", command_report, "show what became of every connection, and what is wrong"},
    {"grep", command_grep, "print the events that match"},
    {0},
};
