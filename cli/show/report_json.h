/*
 * A report for machines: a JSON object a line, each with "schema":1 and "kind": a summary, then a finding each, then a
 * connection each. Keys are documented in closetrace(1); a key that does not apply is left out.
 */
#ifndef CLOSETRACE_REPORT_JSON_H
#define CLOSETRACE_REPORT_JSON_H

#include <stdio.h>

#include "analysis/analysis.h"

void report_json(const struct analysis *analysis, FILE *out);

#endif
