/*
 * A report for continuous integration: each finding a failed case, a possible one and a note a passed one that says so;
 * where there is none, one case that passed.
 */
#ifndef CLOSETRACE_REPORT_CASES_H
#define CLOSETRACE_REPORT_CASES_H

#include <stdio.h>

#include "analysis/analysis.h"

/* JUnit XML (as Jenkins and GitLab read it), TAP version 13. */
void report_junit(const struct analysis *analysis, FILE *out);
void report_tap(const struct analysis *analysis, FILE *out);

#endif
