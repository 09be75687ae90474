/* `closetrace run`. */
#ifndef CLOSETRACE_RUN_H
#define CLOSETRACE_RUN_H

int command_run(int argc, char **argv);

#endif
