/* closetrace print: JSON lines as the text that the library would have written. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "show/output.h"
#include "pure/render.h"
#include "input/trace.h"
#include "terminal/say.h"

const char *const print_options[] = {"--follow", "--help", "-f", "-h", NULL};

static const char help[] =
    "Usage: closetrace print FILE [-f]\n"
    "\n"
    "Shows a trace (JSON lines) as text, in local time. FILE - is standard input.\n"
    "\n"
    "  -f, --follow   go on as the file grows\n"
    "      --help     this\n"
    "\n"
    "Exit status: 0; 1 if a line could not be read (the others are shown); 125 for other trouble.\n"
    "On a terminal verdicts have colours, unless NO_COLOR is set.\n";

static void show(const struct event *event, struct text_style *style) {
    char text[RENDER_LINE_MAX];
    style->utc_offset = local_offset(event->time_us);
    const size_t length = render_text(event, style, text, sizeof text);
    fwrite(text, 1, length, stdout);
}

static int print(const char *name, bool follow) {
    struct event event;
    struct json_text line;
    struct text_style style = {.color = output_in_color(STDOUT_FILENO)};
    enum trace_result result;
    struct trace *trace = trace_open(name);
    if (!trace)
        return EXIT_FAILED;
    do {
        while ((result = trace_next(trace, follow, &event, &line)) == TRACE_EVENT)
            show(&event, &style);
        if (!output_flush())
            result = TRACE_FAILED;
    } while (follow && result == TRACE_END && trace_wait(trace));
    const bool whole = trace_close(trace);
    return result == TRACE_FAILED ? EXIT_FAILED : whole ? EXIT_OK : EXIT_FOUND_WRONG;
}

int command_print(int argc, char **argv) {
    const char *name = NULL;
    bool follow = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return output_flush() ? EXIT_OK : EXIT_FAILED;
        }
        if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0)
            follow = true;
        else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            unknown_option(argv[0], argv[i], print_options);
            return EXIT_FAILED;
        } else if (name) {
            say("closetrace print: one file at a time (closetrace report takes several)");
            return EXIT_FAILED;
        } else
            name = argv[i];
    }
    if (!name) {
        say("closetrace print: of which file? closetrace print FILE, or - for standard input");
        return EXIT_FAILED;
    }
    return print(name, follow);
}
