/* closetrace report: what became of every connection, and what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "choice.h"
#include "kernel/clock.h"
#include "show/ladder.h"
#include "show/report_cases.h"
#include "show/report_html.h"
#include "show/report_json.h"
#include "show/output.h"
#include "show/report_perfetto.h"
#include "show/report_words.h"
#include "symbols/callers.h"
#include "terminal/progress.h"
#include "terminal/say.h"
#include "input/trace.h"

const char *const report_options[] = {"--all",        "--fail",  "--format", "--only", "--ignore",
                                      "--connection", "--color", "--output", "-o",     "--legend",
                                      "--help",       "-h",      NULL};

static const char help[] =
    "Usage: closetrace report FILE... [OPTION...]\n"
    "       closetrace report FILE... --connection ADDRESS:PORT\n"
    "\n"
    "Prints a summary of a trace, then what is wrong, then what became of every connection. Similar findings are\n"
    "reported as one; with more than 30 connections, similar ones share a row. Several files are merged by the times\n"
    "of their events. Use - as FILE for standard input.\n"
    "\n"
    "  --all           show each finding and each connection separately\n"
    "  --fail[=possible]\n"
    "                  exit 1 if there is a finding (notes do not count; possible findings count with =possible)\n"
    "  --format=text|json|junit|tap|html|perfetto\n"
    "                  json: one object per line: a summary, findings, connections; junit, tap: each finding is a\n"
    "                  failed case; html: one page with everything, and a ladder of each connection that a finding "
    "names\n"
    "  -o, --output=FILE\n"
    "                  write the report to FILE\n"
    "  --only=FINDING[,FINDING...]\n"
    "                  report only these findings\n"
    "  --ignore=FINDING[:KEY=VALUE...], --ignore=@FILE\n"
    "                  leave out the findings that meet all conditions (those of closetrace grep, on lines with\n"
    "                  op=finding); * is any finding; FILE has one per line, with # comments. An ignore that\n"
    "                  matched nothing is reported\n"
    "  --connection ADDRESS:PORT, --connection PORT\n"
    "                  draw the connections with that address as ladders: the client's end on the left, the\n"
    "                  server's on the right, and what was sent on the wire between them\n"
    "  --color=WHEN    use colours: auto (the default), always or never\n"
    "  --legend        explain the columns, marks and words of the table\n"
    "  --help          show this help\n"
    "\n"
    "Exit status: 0 on success; 1 if a line could not be read, or with --fail if there is a finding; 125 on other\n"
    "errors.\n"
    "On a terminal, lines are cut to its width and coloured unless NO_COLOR is set.\n"
    "\n"
    "Findings:\n";

/* A file, and the event of it that is next. */
struct source {
    struct trace *trace;
    struct event event;
    bool has_event;
    bool goes_on; /* the session that writes it */
};

enum report_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_JUNIT, FORMAT_TAP, FORMAT_HTML, FORMAT_PERFETTO, FORMAT_COUNT };

static const char *const formats[FORMAT_COUNT] = {"text", "json", "junit", "tap", "html", "perfetto"};

const char *report_format_name(unsigned i) {
    return i < FORMAT_COUNT ? formats[i] : NULL;
}

struct job {
    const char **names;
    unsigned count;
    const char *connection, *output;
    enum report_format format;
    struct choice *choice;
    bool fail, fail_possible, all;
    bool damaged, broken;
};

static void advance(struct source *source, struct job *job) {
    struct json_text line;
    const enum trace_result result = trace_next(source->trace, source->goes_on, &source->event, &line);
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

/* A page is made of a second reading, in which what is wrong with a trace has been said. */
static bool can_be_read_twice(const struct trace *trace, const char *name, struct job *job) {
    if (job->format != FORMAT_HTML || (trace_is_regular(trace) && strcmp(name, "-") != 0))
        return true;
    say("closetrace report: --format=html reads a trace twice: %s is not a regular file by name", name);
    return false;
}

static bool open_all(struct source *sources, struct job *job, bool again) {
    for (unsigned i = 0; i < job->count; i++) {
        sources[i].trace = trace_open(job->names[i]);
        if (!sources[i].trace || !can_be_read_twice(sources[i].trace, job->names[i], job)) {
            job->broken = true;
            return false;
        }
        sources[i].goes_on = trace_goes_on(sources[i].trace);
        if (again)
            trace_hush(sources[i].trace);
        advance(&sources[i], job);
    }
    return true;
}

/* Of all files together. */
static void tell_progress(const struct source *sources, const struct job *job, uint64_t events) {
    uint64_t done = 0, total = 0;
    bool is_known = true;
    for (unsigned i = 0; i < job->count; i++) {
        uint64_t at, size;
        trace_position(sources[i].trace, &at, &size);
        done += at;
        total += size;
        is_known &= size > 0;
    }
    progress_tell("report", events, done, is_known ? total : 0);
}

/* Who is given the events of a reading, and which of the files each is from. */
struct taker {
    void (*take)(void *context, const struct source *source, unsigned number);
    void *context;
    bool again;
};

/* All events of all files, in the order of their times. */
static void read_all(struct job *job, const struct taker *taker) {
    enum { BETWEEN = 1000 };
    struct source *sources = calloc(job->count, sizeof *sources);
    uint64_t events = 0;
    if (!sources) {
        job->broken = true;
        return;
    }
    if (open_all(sources, job, taker->again))
        for (struct source *source; (source = earliest(sources, job->count)); advance(source, job)) {
            if (events++ % BETWEEN == 0 || !trace_is_regular(source->trace))
                tell_progress(sources, job, events);
            taker->take(taker->context, source, (unsigned)(source - sources));
        }
    progress_end();
    for (unsigned i = 0; i < job->count; i++)
        if (sources[i].trace && !trace_close(sources[i].trace))
            job->damaged = true;
    free(sources);
}

struct analysing {
    struct analysis *analysis;
    uint64_t now_us;
};

static void analyse(void *context, const struct source *source, unsigned number) {
    const struct analysing *analysing = context;
    (void)number;
    callers_learn(&source->event);
    analysis_source(analysing->analysis, source->goes_on ? analysing->now_us : 0);
    analysis_event(analysing->analysis, &source->event);
}

static void add_to_ladder(void *ladder, const struct source *source, unsigned number) {
    (void)number;
    ladder_event(ladder, &source->event);
}

static void add_to_page(void *html, const struct source *source, unsigned number) {
    html_event(html, &source->event, number);
}

static int status_of(const struct job *job, bool found) {
    if (!output_flush() || job->broken)
        return EXIT_FAILED;
    return job->damaged || (job->fail && found) ? EXIT_FOUND_WRONG : EXIT_OK;
}

static void show_text(const struct analysis *analysis, const struct report_style *style) {
    const struct totals totals = analysis_totals(analysis);
    summary_print(analysis, stdout, style->width);
    unseen_print(analysis, stdout);
    if (analysis_findings(analysis))
        putchar('\n');
    findings_print(analysis, stdout, style, true);
    if (totals.connections + totals.refused + totals.timed_out + totals.failed > 0)
        putchar('\n');
    connections_print(analysis, stdout, style);
    if (style->width > 0)
        puts("\n(closetrace report --legend explains this)");
}

static void show_html(struct job *job, const struct analysis *analysis) {
    struct html *html = html_new(analysis);
    read_all(job, &(struct taker){add_to_page, html, true});
    html_print(html, job->names, job->count, stdout);
    html_free(html);
}

/* From here on standard output is the file. */
static bool begin_output(struct job *job) {
    if (!job->output || freopen(job->output, "w", stdout))
        return true;
    say("closetrace report: -o %s: %s", job->output, strerror(errno));
    job->broken = true;
    return false;
}

static void show(struct job *job, const struct analysis *analysis, const struct report_style *style) {
    switch (job->format) {
    case FORMAT_JSON:
        report_json(analysis, stdout);
        break;
    case FORMAT_JUNIT:
        report_junit(analysis, stdout);
        break;
    case FORMAT_TAP:
        report_tap(analysis, stdout);
        break;
    case FORMAT_PERFETTO:
        report_perfetto(analysis, stdout);
        break;
    case FORMAT_HTML:
        show_html(job, analysis);
        break;
    default:
        show_text(analysis, style);
    }
}

static int report(struct job *job, const struct report_style *style) {
    struct analysis *analysis = analysis_new();
    struct analysing analysing = {analysis, clock_now()};
    read_all(job, &(struct taker){analyse, &analysing, false});
    analysis_end(analysis);
    choice_apply(job->choice, analysis);
    const struct totals totals = analysis_totals(analysis);
    if (!job->broken && begin_output(job)) {
        callers_find(analysis);
        show(job, analysis, style);
        callers_forget();
    }
    analysis_free(analysis);
    return status_of(job, totals.findings > 0 || (job->fail_possible && totals.possible > 0));
}

static int draw(struct job *job, const struct report_style *style) {
    struct ladder *ladder = ladder_new(job->connection);
    if (!ladder)
        return EXIT_FAILED;
    read_all(job, &(struct taker){add_to_ladder, ladder, false});
    if (!job->broken && begin_output(job) && ladder_print(ladder, stdout, style) == 0) {
        say("closetrace report: no connection has the address %s (ADDRESS:PORT, as in 127.0.0.1:80 or [::1]:80)",
            job->connection);
        job->broken = true;
    }
    ladder_free(ladder);
    return status_of(job, false);
}

static const char legend[] =
    "CONNECTION    the client's address -> the server's. On a terminal, an address that both share is shown once\n"
    "CLIENT END,   how that end was ended, and what was sent: the call or event (close, shutdown, exit, exec,\n"
    "SERVER END    release), then FIN, RST, or both. FIN queued: it waits behind data. nothing: the connection was\n"
    "              already over. shutdown FIN, open: shut down, not closed yet. open: not ended yet. killed ?: the\n"
    "              process was killed, and nobody saw what was sent. refused, timed out, failed: what happened to\n"
    "              the connect. (FIN), (RST): that end is not in the trace, but the other end received this.\n"
    "              ?: nobody saw\n"
    "CLOSED FIRST  whose FIN or RST was sent first, and by which process; -: neither\n"
    "LIFE          from connect or accept to the last end; +: not over yet\n"
    "SENT          bytes that the client sent; RECEIVED: bytes that the client received. +: counted while more was\n"
    "              waiting to be sent. ?: not known\n"
    "REFERENCES    the most references that the socket had at once: file descriptors in all processes, copies in\n"
    "              flight, parked ones; withheld: how late the FIN was, and who let go in the end\n"
    "COUNT         how many similar connections share this row (--all: a row for each)\n"
    "\n"
    "finding: it is certain. possible: it fits what was seen, but one thing, which is named, cannot be seen from\n"
    "here. note: worth knowing, but not a fault.\n";

static int show_legend(void) {
    fputs(legend, stdout);
    return output_flush() ? EXIT_OK : EXIT_FAILED;
}

static int show_help(void) {
    fputs(help, stdout);
    for (unsigned i = 0; i < FINDING_COUNT; i++)
        printf("  %s\n", finding_name((enum finding_kind)i));
    return output_flush() ? EXIT_OK : EXIT_FAILED;
}

/* The value of an option: behind its = or the next word. NULL: it is another option, or has none, which is said. */
static const char *value_of(const char *option, int argc, char **argv, int *i, bool *is_wrong) {
    const size_t length = strlen(option);
    if (strncmp(argv[*i], option, length) != 0)
        return NULL;
    if (argv[*i][length] == '=')
        return argv[*i] + length + 1;
    if (argv[*i][length] != '\0')
        return NULL;
    if (*i + 1 < argc)
        return argv[++*i];
    say("closetrace report: %s needs a value", option);
    *is_wrong = true;
    return NULL;
}

static bool read_format(const char *word, struct job *job) {
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        if (strcmp(word, formats[i]) == 0) {
            job->format = (enum report_format)i;
            return true;
        }
    say("closetrace report: --format=%s: expected text, json, junit, tap, html or perfetto", word);
    return false;
}

/* True: it was one of these, and *is_good says whether it was right. */
static bool read_valued(int argc, char **argv, int *i, struct job *job, bool *is_good) {
    bool is_wrong = false;
    const char *value;
    if ((value = value_of("--connection", argc, argv, i, &is_wrong)))
        job->connection = value;
    else if (!is_wrong && ((value = value_of("--output", argc, argv, i, &is_wrong)) ||
                           (!is_wrong && (value = value_of("-o", argc, argv, i, &is_wrong)))))
        job->output = value;
    else if (!is_wrong && (value = value_of("--format", argc, argv, i, &is_wrong)))
        is_wrong = !read_format(value, job);
    else if (!is_wrong && (value = value_of("--only", argc, argv, i, &is_wrong)))
        is_wrong = !choice_only(job->choice, value);
    else if (!is_wrong && (value = value_of("--ignore", argc, argv, i, &is_wrong)))
        is_wrong = !choice_ignore(job->choice, value);
    *is_good = !is_wrong;
    return value || is_wrong;
}

static bool read_flag(const char *word, struct job *job) {
    if (strcmp(word, "--fail=possible") == 0)
        job->fail = job->fail_possible = true;
    else if (strcmp(word, "--fail") == 0)
        job->fail = true;
    else if (strcmp(word, "--all") == 0)
        job->all = true;
    else
        return false;
    return true;
}

static bool read_arguments(int argc, char **argv, struct job *job) {
    for (int i = 1; i < argc; i++) {
        bool is_good = true;
        if (read_flag(argv[i], job))
            continue;
        if (output_color_option(argv[0], argv[i], &is_good) || read_valued(argc, argv, &i, job, &is_good)) {
            if (!is_good)
                return false;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            unknown_option(argv[0], argv[i], report_options);
            return false;
        } else
            job->names[job->count++] = argv[i];
    }
    if (job->count == 0)
        say("closetrace report: a FILE is missing: closetrace report FILE..., or - for standard input");
    return job->count > 0;
}

static int report_or_draw(int argc, char **argv, struct job *job) {
    if (!read_arguments(argc, argv, job))
        return EXIT_FAILED;
    const struct report_style style = {.color = !job->output && output_in_color(STDOUT_FILENO),
                                       .width = job->output ? 0 : output_width(),
                                       .all = job->all};
    return job->connection ? draw(job, &style) : report(job, &style);
}

int command_report(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return show_help();
        else if (strcmp(argv[i], "--legend") == 0)
            return show_legend();
    struct job job = {.names = calloc((size_t)argc, sizeof *job.names), .choice = choice_new()};
    const int status = job.names ? report_or_draw(argc, argv, &job) : EXIT_FAILED;
    choice_free(job.choice);
    free(job.names);
    return status;
}
