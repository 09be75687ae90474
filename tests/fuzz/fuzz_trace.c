/*
 * Any text as a line of a trace: it is read or refused; what was read is rendered to a line that reads as the same
 * again; and the text of it has no control character that a terminal would obey. All lines together go into an
 * analysis.
 */
#include "analysis/findings.h"
#include "pure/render.h"
#include "pure/utf8.h"
#include "reader/match.h"
#include "reader/parse.h"

#include "fuzz.h"

static void check_safe(const char *text, size_t length) {
    for (size_t at = 0; at + 1 < length;) {
        uint32_t code;
        at += utf8_next(text + at, length - at, &code);
        MUST(!utf8_is_control(code));
    }
}

static void check_matches(const struct event *event, const char *line, size_t length) {
    static const char *const texts[] = {"fin=sent", "holders=*x*", "duration!=0..1.5", "raddr=10.0.0.0/8",
                                        "command=a*"};
    struct parse_error error;
    struct match match;
    char *store = malloc(length + 1);
    MUST(store);
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        MUST(match_parse(texts[i], &match, &error));
        const struct json_text text = {line, length};
        match_holds(&match, event, &text, store, length + 1);
    }
    free(store);
}

/* What is rendered reads as what it was rendered from. */
static void check_round_trip(const struct event *event) {
    char first[RENDER_LINE_MAX], second[RENDER_LINE_MAX], text[RENDER_LINE_MAX];
    const struct text_style style = {0};
    struct event again;
    struct event_wrong wrong;
    const size_t length = render_json(event, first, sizeof first);
    const struct event_store store = {malloc(EVENT_STORE_SIZE(sizeof first)), EVENT_STORE_SIZE(sizeof first)};
    MUST(store.memory);
    MUST(event_parse(first, length, &again, &store, &wrong));
    const size_t other = render_json(&again, second, sizeof second);
    if (length < RENDER_LINE_MAX - 256) /* else something was left out, and more or less may be the next time */
        MUST(length == other && memcmp(first, second, length) == 0);
    const size_t length_of_text = render_text(event, &style, text, sizeof text);
    check_safe(text, length_of_text);
    free(store.memory);
}

static void check_line(struct analysis *analysis, const uint8_t *data, size_t size) {
    struct event event;
    struct event_wrong wrong;
    char *line = malloc(size > 0 ? size : 1); /* not a byte more: a read behind it is seen */
    MUST(line);
    if (size > 0)
        memcpy(line, data, size);
    const struct event_store store = {malloc(EVENT_STORE_SIZE(size)), EVENT_STORE_SIZE(size)};
    MUST(store.memory);
    if (event_parse(line, size, &event, &store, &wrong)) {
        check_round_trip(&event);
        check_matches(&event, line, size);
        analysis_event(analysis, &event);
    } else
        MUST(wrong.offset <= size && wrong.message[0]);
    free(store.memory);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct analysis *analysis = analysis_new();
    const uint8_t *const end = data + size;
    while (data < end) {
        const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));
        check_line(analysis, data, (size_t)((newline ? newline : end) - data));
        data = newline ? newline + 1 : end;
    }
    analysis_end(analysis);
    analysis_free(analysis);
    return 0;
}
