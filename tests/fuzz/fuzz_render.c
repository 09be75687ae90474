/*
 * Any event, in a buffer of any size: a line of text is a whole line, one of JSON a whole object; and what goes through
 * the ring packed gives the same lines.
 */
#include "pure/names.h"
#include "pure/pack.h"
#include "pure/render.h"

#include "fuzz.h"
#include "../unit/json_check.h"

static const uint8_t *rest;
static size_t rest_size;

static void take(void *into, size_t size) {
    const size_t taken = size < rest_size ? size : rest_size;
    memset(into, 0, size);
    if (taken > 0)
        memcpy(into, rest, taken);
    rest += taken;
    rest_size -= taken;
}

static unsigned number(unsigned below) {
    uint16_t value;
    take(&value, sizeof value);
    return value % below;
}

/* What the bytes say, save what must be an enum's value or a pointer. */
static void make_event(struct event *event, const char *const *words) {
    static const uint8_t families[] = {ADDRESS_UNSET, ADDRESS_V4, ADDRESS_V6};
    take(event, sizeof *event);
    event->op = (enum event_op)number(OP_COUNT);
    event->fin = (enum event_fin)number(FIN_COUNT);
    event->why = (enum event_why)number(WHY_COUNT);
    event->role = (enum event_role)number(ROLE_COUNT);
    event->sigpipe = (enum event_sigpipe)number(SIGPIPE_COUNT);
    event->state_before = (enum tcp_state)number(STATE_COUNT);
    event->state_after = (enum tcp_state)number(STATE_COUNT);
    event->local.family = families[number(3)];
    event->remote.family = families[number(3)];
    event->refs_partial = number(2);
    event->verified = number(2);
    event->possible = number(2);
    event->fired_nowhere = number(2);
    event->call = number(8) ? words[0] : NULL;
    event->injected = number(3) ? NULL : words[1];
    event->not_injected = number(3) ? NULL : words[1];
    event->not_injected_why = number(3) ? NULL : words[0];
    event->rule = number(3) ? NULL : words[1];
    event->command = number(3) ? words : NULL;
    event->rules = number(3) ? NULL : words + 1;
    event->version = number(2) ? NULL : words[1];
    event->finding = number(2) ? NULL : words[0];
    event->sockets = number(2) ? NULL : words;
    event->evidence = number(2) ? NULL : words + 1;
    event->used = (enum event_used)number(USED_YES + 1);
    event->last = (enum event_last)number(LAST_COUNT);
    event->would = (enum event_fin)number(FIN_COUNT);
    event->reach = (enum event_reach)number(REACH_COUNT);
    event->peer_state = (enum tcp_state)number(STATE_COUNT);
    event->holders_named = number(HOLDERS_SHOWN + 1);
    if (event->holder_count < event->holders_named)
        event->holder_count = event->holders_named;
    for (unsigned i = 0; i < HOLDERS_SHOWN; i++)
        event->holders[i].call = number(2) ? words[0] : NULL;
}

static void check_lines(const struct event *event, size_t size) {
    const struct text_style style = {.color = size % 2, .utc_offset = (int32_t)event->seed};
    char *buffer = malloc(size);
    MUST(buffer);
    size_t length = render_json(event, buffer, size);
    MUST(length <= size && (size < 3 || is_json_line(buffer, length)));
    length = render_text(event, &style, buffer, size);
    MUST(length > 0 && length <= size && memchr(buffer, '\n', length) == buffer + length - 1);
    free(buffer);
}

/* What only the command's own events say goes through no ring. */
static void check_packed(const struct event *given, size_t room) {
    static char line[RENDER_LINE_MAX], again[RENDER_LINE_MAX];
    struct event unpacked, whole = *given, *event = &whole;
    whole.has &= ~(unsigned)(HAS_LOST | HAS_IN_STATE | HAS_BACKLOG | HAS_EXPIRES);
    whole.would = FIN_UNSET;
    char *packed = malloc(room);
    MUST(packed);
    size_t size = event_pack(event, packed, room);
    MUST(size <= room);
    if (size > 0) {
        MUST(is_packed(packed, size) && event_unpack(packed, size, &unpacked));
        size_t length = render_json(event, line, sizeof line);
        MUST(render_json(&unpacked, again, sizeof again) == length && memcmp(line, again, length) == 0);
    }
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct event event;
    const char *words[64] = {"call"};
    rest = data;
    rest_size = size;
    const size_t line_size = number(RENDER_LINE_MAX) + 1U;
    char *text = string_of(data, size);
    for (size_t i = 1, at = 0; i < 63 && at < size; i++, at += strlen(text + at) + 1)
        words[i] = text + at;
    make_event(&event, words);
    check_lines(&event, line_size);
    check_packed(&event, line_size);
    free(text);
    return 0;
}
