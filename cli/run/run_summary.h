/* What `closetrace run` says when all is over: what became of the connections, and what is wrong. */
#ifndef CLOSETRACE_RUN_SUMMARY_H
#define CLOSETRACE_RUN_SUMMARY_H

#include "drain.h"
#include "processes.h"
#include "run_options.h"

/*
 * Before anything is drained. A trace that can be read again (a file of JSON lines) is looked into at the end, so that
 * it costs nothing while the program runs; every other as it comes.
 */
void run_summary_begin(struct drain *drain, const struct run_options *options);

/*
 * What is known so far, on standard error; nobody waits until it is said. Where that has the trace too it goes between
 * its lines: what comes with the tag is for run_summary_hear().
 */
void run_summary_so_far(struct drain *drain, const struct run_options *options, int epoll, uint64_t tag);
void run_summary_hear(struct drain *drain);

/* On standard error, a line each; findings go into the trace as well. Returns whether there are any that are certain.
 */
bool run_summary_end(struct drain *drain, const struct run_options *options, const struct processes *processes);

#endif
