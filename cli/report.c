/* closetrace report: what became of every connection, and what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "show/ladder.h"
#include "show/output.h"
#include "show/report_words.h"
#include "terminal/say.h"
#include "input/trace.h"

const char *const report_options[] = {"--fail", "--connection", "--help", "-h", NULL};

static const char help[] =
    "Usage: closetrace report FILE... [--fail]\n"
    "       closetrace report FILE... --connection ADDRESS:PORT\n"
    "\n"
    "What became of every connection of a trace, then what is wrong, then a summary. Several files are read in the\n"
    "order of their events' times. FILE - is standard input.\n"
    "\n"
    "  --fail          exit 1 if there is a finding (one that is merely possible, or a note, is none)\n"
    "  --connection ADDRESS:PORT\n"
    "                  draw the connections with that address as ladders: the client's end on the left, the\n"
    "                  server's on the right, what left on the wire between them\n"
    "  --help          this\n"
    "\n"
    "Exit status: 0; 1 with --fail if there is a finding, or if a line could not be read; 125 for other trouble.\n"
    "On a terminal lines are cut to its width and have colours, unless NO_COLOR is set.\n"
    "\n"
    "Findings:\n";

/* A file, and the event of it that is next. */
struct source {
    struct trace *trace;
    struct event event;
    bool has_event;
};

struct job {
    const char **names;
    unsigned count;
    const char *connection;
    bool fail;
    bool damaged, broken;
};

static void advance(struct source *source, struct job *job) {
    struct json_text line;
    const enum trace_result result = trace_next(source->trace, false, &source->event, &line);
    source->has_event = result == TRACE_EVENT;
    if (result == TRACE_FAILED)
        job->broken = true;
}

static struct source *earliest(struct source *sources, unsigned count) {
    struct source *best = NULL;
    for (unsigned i = 0; i < count; i++)
        if (sources[i].has_event && (!best || sources[i].event.time_us < best->event.time_us))
            best = &sources[i];
    return best;
}

static bool open_all(struct source *sources, struct job *job) {
    for (unsigned i = 0; i < job->count; i++) {
        sources[i].trace = trace_open(job->names[i]);
        if (!sources[i].trace) {
            job->broken = true;
            return false;
        }
        advance(&sources[i], job);
    }
    return true;
}

/* All events of all files, in the order of their times, into the one or the other. */
static void read_all(struct job *job, struct analysis *analysis, struct ladder *ladder) {
    struct source *sources = calloc(job->count, sizeof *sources);
    if (!sources) {
        job->broken = true;
        return;
    }
    if (open_all(sources, job))
        for (struct source *source; (source = earliest(sources, job->count)); advance(source, job)) {
            if (ladder)
                ladder_event(ladder, &source->event);
            else
                analysis_event(analysis, &source->event);
        }
    for (unsigned i = 0; i < job->count; i++)
        if (sources[i].trace && !trace_close(sources[i].trace))
            job->damaged = true;
    free(sources);
}

static int status_of(const struct job *job, bool found) {
    if (!output_flush() || job->broken)
        return EXIT_FAILED;
    return job->damaged || (job->fail && found) ? EXIT_FOUND_WRONG : EXIT_OK;
}

static int report(struct job *job, const struct report_style *style) {
    struct analysis *analysis = analysis_new();
    read_all(job, analysis, NULL);
    analysis_end(analysis);
    const struct totals totals = analysis_totals(analysis);
    if (!job->broken) {
        if (totals.connections + totals.refused + totals.timed_out + totals.failed > 0) {
            connections_print(analysis, stdout, style);
            putchar('\n');
        }
        findings_print(analysis, stdout, style, true);
        if (analysis_findings(analysis))
            putchar('\n');
        summary_print(analysis, stdout);
    }
    analysis_free(analysis);
    return status_of(job, totals.findings > 0);
}

static int draw(struct job *job, const struct report_style *style) {
    struct ladder *ladder = ladder_new(job->connection);
    if (!ladder)
        return EXIT_FAILED;
    read_all(job, NULL, ladder);
    if (!job->broken && ladder_print(ladder, stdout, style) == 0) {
        say("closetrace report: no connection has the address %s (ADDRESS:PORT, as in 127.0.0.1:80 or [::1]:80)",
            job->connection);
        job->broken = true;
    }
    ladder_free(ladder);
    return status_of(job, false);
}

static int show_help(void) {
    fputs(help, stdout);
    for (unsigned i = 0; i < FINDING_COUNT; i++)
        printf("  %s\n", finding_name((enum finding_kind)i));
    return output_flush() ? EXIT_OK : EXIT_FAILED;
}

static bool read_arguments(int argc, char **argv, struct job *job) {
    static const char connection[] = "--connection";
    const size_t length = sizeof connection - 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--fail") == 0)
            job->fail = true;
        else if (strcmp(argv[i], connection) == 0 && i + 1 < argc)
            job->connection = argv[++i];
        else if (strncmp(argv[i], connection, length) == 0 && argv[i][length] == '=')
            job->connection = argv[i] + length + 1;
        else if (strcmp(argv[i], connection) == 0) {
            say("closetrace report: --connection needs ADDRESS:PORT");
            return false;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            unknown_option(argv[0], argv[i], report_options);
            return false;
        } else
            job->names[job->count++] = argv[i];
    }
    if (job->count == 0)
        say("closetrace report: of which file? closetrace report FILE..., or - for standard input");
    return job->count > 0;
}

int command_report(int argc, char **argv) {
    struct job job = {.names = calloc((size_t)argc, sizeof *job.names)};
    const struct report_style style = {.color = output_in_color(STDOUT_FILENO), .width = output_width()};
    int status = EXIT_FAILED;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            free(job.names);
            return show_help();
        }
    if (job.names && read_arguments(argc, argv, &job))
        status = job.connection ? draw(&job, &style) : report(&job, &style);
    free(job.names);
    return status;
}
