/*
 * A report for ui.perfetto.dev: Chrome trace events (JSON). A track a process; each end of a connection a slice from
 * its opening to its end, with the FIN, EOF and RST in it; findings are instants.
 */
#ifndef CLOSETRACE_REPORT_PERFETTO_H
#define CLOSETRACE_REPORT_PERFETTO_H

#include <stdio.h>

#include "analysis/analysis.h"

void report_perfetto(const struct analysis *analysis, FILE *out);

#endif
