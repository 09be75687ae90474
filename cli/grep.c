/* closetrace grep: the events that meet conditions, for scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "pure/utf8.h"
#include "show/output.h"
#include "reader/match.h"
#include "reader/parse.h"
#include "input/trace.h"
#include "terminal/say.h"

enum { GREP_FOUND = 0, GREP_NONE = 1, GREP_TROUBLE = 2 };

const char *const grep_options[] = {"--color", "--follow", "--max-count", "--count", "--quiet", "--help",
                                    "-f",      "-m",       "-c",          "-q",      "-h",      NULL};

static const char help[] =
    "Usage: closetrace grep FILE [OPTION...] KEY=VALUE...\n"
    "\n"
    "Prints the events of a trace that meet all conditions. Each line is printed as it is, except that control\n"
    "characters are escaped. Use - as FILE for standard input.\n"
    "\n"
    "  -f, --follow   keep reading as the file grows\n"
    "  -m, --max-count N   stop after N events\n"
    "  -c, --count    print only the number of events\n"
    "  -q, --quiet    print nothing, and stop at the first event\n"
    "      --color=WHEN   accepted, but JSON lines are never coloured\n"
    "      --help     show this help\n"
    "\n"
    "KEY!=VALUE negates. A number can be N, N+ (N or more) or FIRST..LAST. In words and texts, * stands for any\n"
    "characters. laddr and raddr take a prefix (10.0.0.0/8). Values separated by commas are alternatives:\n"
    "fin=sent,queued. If the value in the trace is a list, one matching item is enough.\n"
    "state means state_before (or state_after if there is no state_before); refs means refs_before.\n"
    "\n"
    "Exit status, as for grep: 0 if an event was found; 1 if none was; 2 on errors, including a line that could not\n"
    "be read.\n"
    "\n"
    "Keys:";

struct search {
    const char *name;
    struct match *matches;
    unsigned match_count;
    bool follow, count_only, quiet;
    uint64_t max, found;
};

static int show_help(void) {
    enum { WIDTH = 100 };
    size_t column = WIDTH;
    const char *key;
    fputs(help, stdout);
    for (unsigned i = 0; (key = match_key(i)); i++) {
        column += strlen(key) + 1;
        const bool wraps = column > WIDTH;
        if (wraps)
            column = strlen(key) + 2;
        printf("%s%s", wraps ? "\n  " : " ", key);
    }
    putchar('\n');
    return output_flush() ? GREP_FOUND : GREP_TROUBLE;
}

/* What a terminal would obey is escaped where JSON can do so, and else a blank. */
static void print_character(const char *bytes, size_t length, uint32_t code, bool in_string) {
    if (code == UTF8_INVALID)
        fputs(UTF8_REPLACEMENT, stdout);
    else if (!utf8_is_control(code))
        fwrite(bytes, 1, length, stdout);
    else if (in_string)
        printf("\\u%04x", (unsigned)code);
    else
        putchar(' ');
}

/* As it is, as long as that is JSON. */
static void print_line(const struct json_text *line) {
    bool in_string = false, escaped = false;
    for (size_t at = 0; at < line->length;) {
        uint32_t code;
        const size_t length = utf8_next(line->start + at, line->length - at, &code);
        print_character(line->start + at, length, code, in_string);
        in_string = in_string != (code == '"' && !escaped);
        escaped = in_string && code == '\\' && !escaped;
        at += length;
    }
    putchar('\n');
}

/* Until it ends, has failed, or enough was found. */
static enum trace_result search_on(struct search *search, struct trace *trace) {
    struct event event;
    struct json_text line;
    enum trace_result result;
    while (search->found < search->max && (result = trace_next(trace, search->follow, &event, &line)) == TRACE_EVENT) {
        if (!matches_hold(search->matches, search->match_count, &event, &line))
            continue;
        search->found++;
        if (!search->quiet && !search->count_only)
            print_line(&line);
    }
    return search->found < search->max ? result : TRACE_EVENT;
}

static int grep(struct search *search) {
    enum trace_result result;
    struct trace *trace = trace_open(search->name);
    if (!trace)
        return GREP_TROUBLE;
    if (search->follow || !trace_is_regular(trace))
        setvbuf(stdout, NULL, _IOLBF, 0); /* each line as it comes */
    do
        result = search_on(search, trace);
    while (result == TRACE_END && search->follow && output_flush() && trace_wait(trace));
    if (search->count_only)
        printf("%llu\n", (unsigned long long)search->found);
    const bool whole = trace_close(trace);
    if (!output_flush() || !whole || result == TRACE_FAILED)
        return GREP_TROUBLE;
    return search->found > 0 ? GREP_FOUND : GREP_NONE;
}

static bool read_max(const char *text, struct search *search) {
    char *end = NULL;
    search->max = text ? strtoull(text, &end, 10) : 0;
    if (text && *text >= '0' && *text <= '9' && *end == '\0' && search->max > 0)
        return true;
    say("closetrace grep: -m takes a number of 1 or more");
    return false;
}

/* Says where in the condition, as settings do. */
static bool read_match(const char *text, struct search *search) {
    struct parse_error error;
    if (match_parse(text, &search->matches[search->match_count++], &error))
        return true;
    say("closetrace grep: %s", error.message);
    return false;
}

static bool is_option(const char *word, const char *letter, const char *name) {
    return strcmp(word, letter) == 0 || strcmp(word, name) == 0;
}

static bool read_arguments(int argc, char **argv, struct search *search) {
    bool is_good = true;
    for (int i = 1; i < argc; i++) {
        if (is_option(argv[i], "-f", "--follow"))
            search->follow = true;
        else if (is_option(argv[i], "-c", "--count"))
            search->count_only = true;
        else if (is_option(argv[i], "-q", "--quiet"))
            search->quiet = true;
        else if (is_option(argv[i], "-m", "--max-count")) {
            if (!read_max(i + 1 < argc ? argv[++i] : NULL, search))
                return false;
        } else if (strncmp(argv[i], "-m", 2) == 0) {
            if (!read_max(argv[i] + 2, search))
                return false;
        } else if (output_color_option(argv[0], argv[i], &is_good)) {
            if (!is_good)
                return false;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            unknown_option(argv[0], argv[i], grep_options);
            return false;
        } else if (!search->name)
            search->name = argv[i];
        else if (!read_match(argv[i], search))
            return false;
    }
    if (!search->name || search->match_count == 0)
        say("closetrace grep: a file and at least one KEY=VALUE are needed: closetrace grep FILE fin=withheld");
    return search->name && search->match_count > 0;
}

int command_grep(int argc, char **argv) {
    struct search search = {.max = UINT64_MAX};
    for (int i = 1; i < argc; i++)
        if (is_option(argv[i], "-h", "--help"))
            return show_help();
    search.matches = calloc((size_t)argc + 1, sizeof *search.matches);
    if (!search.matches)
        return GREP_TROUBLE;
    const bool understood = read_arguments(argc, argv, &search);
    if (search.quiet)
        search.max = 1;
    const int status = understood ? grep(&search) : GREP_TROUBLE;
    free(search.matches);
    return status;
}
