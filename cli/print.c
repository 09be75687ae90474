/* closetrace print: JSON lines as the text that the library would have written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "show/explain.h"
#include "show/output.h"
#include "show/wrapped.h"
#include "pure/render.h"
#include "input/trace.h"
#include "reader/match.h"
#include "terminal/say.h"

const char *const print_options[] = {"--color", "--explain", "--follow", "--help", "-f", "-h", NULL};

static const char help[] =
    "Usage: closetrace print FILE [-f] [KEY=VALUE...]\n"
    "\n"
    "Shows a trace (JSON lines) as text, in local time. With KEY=VALUE, shows only the events that meet all\n"
    "conditions (the same conditions as in closetrace grep). Use - as FILE for standard input.\n"
    "\n"
    "  -f, --follow   keep reading as the file grows\n"
    "      --explain  explain each line in sentences\n"
    "      --color=WHEN   use colours: auto (the default), always or never\n"
    "      --help     show this help\n"
    "\n"
    "Exit status: 0 on success; 1 if a line could not be read (the other lines are shown); 125 on other errors.\n"
    "On a terminal, verdicts are coloured unless NO_COLOR is set.\n";

/* Below the line, and an empty line behind it. */
static void explain(const struct event *event) {
    enum { INDENT = 4, USUAL = 100 };
    char text[EXPLAIN_MAX];
    explain_event(event, text);
    print_wrapped(stdout, text, INDENT, output_width() ? output_width() : USUAL);
    putchar('\n');
}

static void show(const struct event *event, struct text_style *style) {
    char text[RENDER_LINE_MAX];
    style->utc_offset = local_offset(event->time_us);
    const size_t length = render_text(event, style, text, sizeof text);
    fwrite(text, 1, length, stdout);
}

struct wanted {
    const char *name;
    bool follow, explain;
    struct match *matches;
    unsigned match_count;
};

static int print(const struct wanted *wanted) {
    struct event event;
    struct json_text line;
    struct text_style style = {.color = output_in_color(STDOUT_FILENO)};
    enum trace_result result;
    struct trace *trace = trace_open(wanted->name);
    if (!trace)
        return EXIT_FAILED;
    if (!trace_is_regular(trace))
        setvbuf(stdout, NULL, _IOLBF, 0); /* of what comes bit by bit each line is shown as it comes */
    do {
        while ((result = trace_next(trace, wanted->follow, &event, &line)) == TRACE_EVENT)
            if (matches_hold(wanted->matches, wanted->match_count, &event, &line)) {
                show(&event, &style);
                if (wanted->explain)
                    explain(&event);
            }
        if (!output_flush())
            result = TRACE_FAILED;
    } while (wanted->follow && result == TRACE_END && trace_wait(trace));
    const bool whole = trace_close(trace);
    return result == TRACE_FAILED ? EXIT_FAILED : whole ? EXIT_OK : EXIT_FOUND_WRONG;
}

static bool read_match(const char *text, struct wanted *wanted) {
    struct parse_error error;
    if (match_parse(text, &wanted->matches[wanted->match_count++], &error))
        return true;
    say("closetrace print: %s", error.message);
    return false;
}

static bool read_arguments(int argc, char **argv, struct wanted *wanted) {
    bool is_good = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0)
            wanted->follow = true;
        else if (strcmp(argv[i], "--explain") == 0)
            wanted->explain = true;
        else if (output_color_option(argv[0], argv[i], &is_good)) {
            if (!is_good)
                return false;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            unknown_option(argv[0], argv[i], print_options);
            return false;
        } else if (!wanted->name)
            wanted->name = argv[i];
        else if (!strchr(argv[i], '=')) {
            say("closetrace print: one file at a time (closetrace report takes several), then KEY=VALUE");
            return false;
        } else if (!read_match(argv[i], wanted))
            return false;
    }
    if (!wanted->name)
        say("closetrace print: a FILE is missing: closetrace print FILE, or - for standard input");
    return wanted->name != NULL;
}

int command_print(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return output_flush() ? EXIT_OK : EXIT_FAILED;
        }
    struct wanted wanted = {.matches = calloc((size_t)argc, sizeof *wanted.matches)};
    if (!wanted.matches)
        return EXIT_FAILED;
    const int status = read_arguments(argc, argv, &wanted) ? print(&wanted) : EXIT_FAILED;
    free(wanted.matches);
    return status;
}
