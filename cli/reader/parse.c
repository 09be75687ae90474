#include "reader/parse.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "pure/line.h"
#include "pure/names.h"
#include "pure/utf8.h"

struct words {
    const char *(*word)(unsigned i); /* NULL: no such */
    unsigned count;
};

static const char *op_word(unsigned i) {
    return op_name((enum event_op)i);
}

static const char *fin_word(unsigned i) {
    return fin_name((enum event_fin)i);
}

static const char *why_word(unsigned i) {
    return why_name((enum event_why)i);
}

static const char *role_word(unsigned i) {
    return role_name((enum event_role)i);
}

static const char *state_word(unsigned i) {
    return state_name((enum tcp_state)i);
}

static const char *how_word(unsigned i) {
    return how_name((int)i);
}

static const char *sigpipe_word(unsigned i) {
    return sigpipe_name((enum event_sigpipe)i);
}

static const char *last_word(unsigned i) {
    return last_name((enum event_last)i);
}

static const char *reach_word(unsigned i) {
    return reach_name((enum event_reach)i);
}

static const struct words ops = {op_word, OP_COUNT};
static const struct words fins = {fin_word, FIN_COUNT};
static const struct words whys = {why_word, WHY_COUNT};
static const struct words roles = {role_word, ROLE_COUNT};
static const struct words states = {state_word, STATE_NEW_SYN_RECV};
static const struct words hows = {how_word, 3};
static const struct words sigpipes = {sigpipe_word, SIGPIPE_COUNT};
static const struct words reaches = {reach_word, REACH_COUNT};
static const struct words lasts = {last_word, LAST_COUNT};

/* One line on its way to an event. */
struct parse {
    struct json json;
    struct event *event;
    const char **list, **list_end; /* room for lists of strings */
    bool newer;
};

struct field {
    const char *key;
    bool (*read)(struct parse *parse, const struct field *field);
    size_t offset;             /* of the member in struct event */
    unsigned has;              /* enum event_has, or 0 */
    const struct words *words; /* of read_word */
};

static void *member_of(struct parse *parse, const struct field *field) {
    return (char *)parse->event + field->offset;
}

static bool is_negative(const struct json_text *number) {
    return number->length > 0 && number->start[0] == '-';
}

static bool digits(const char *at, const char *end, uint64_t max, uint64_t *number) {
    *number = 0;
    if (at == end)
        return false;
    for (; at < end; at++) {
        const unsigned digit = (unsigned)(*at - '0');
        if (*at < '0' || *at > '9' || *number > (max - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

static bool scalar_unsigned(struct parse *parse, uint64_t max, uint64_t *number) {
    struct json_text text;
    if (!json_scalar(&parse->json, &text))
        return false;
    return digits(text.start, text.start + text.length, max, number) || json_fail(&parse->json, "not a valid number");
}

static bool scalar_signed(struct parse *parse, int64_t max, int64_t *number) {
    struct json_text text;
    uint64_t magnitude;
    if (!json_scalar(&parse->json, &text))
        return false;
    const bool negative = is_negative(&text);
    if (!digits(text.start + negative, text.start + text.length, (uint64_t)max + negative, &magnitude))
        return json_fail(&parse->json, "not a valid number");
    *number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static bool read_u64(struct parse *parse, const struct field *field) {
    return scalar_unsigned(parse, UINT64_MAX, member_of(parse, field));
}

static bool read_unsigned(struct parse *parse, const struct field *field) {
    uint64_t number = 0;
    if (!scalar_unsigned(parse, UINT_MAX, &number))
        return false;
    *(unsigned *)member_of(parse, field) = (unsigned)number;
    return true;
}

static bool read_int(struct parse *parse, const struct field *field) {
    int64_t number = 0;
    if (!scalar_signed(parse, INT_MAX, &number))
        return false;
    *(int *)member_of(parse, field) = (int)number;
    return true;
}

static bool read_long(struct parse *parse, const struct field *field) {
    int64_t number = 0;
    if (!scalar_signed(parse, LONG_MAX, &number))
        return false;
    *(long *)member_of(parse, field) = (long)number;
    return true;
}

/* As jq writes what is small: 1e-05. */
static bool with_exponent(const struct json_text *text, uint64_t *micros) {
    char copy[40], *end;
    if (text->length >= sizeof copy ||
        (!memchr(text->start, 'e', text->length) && !memchr(text->start, 'E', text->length)))
        return false;
    memcpy(copy, text->start, text->length);
    copy[text->length] = '\0';
    const double seconds = strtod(copy, &end);
    if (*end != '\0' || !(seconds >= 0 && seconds < 1e12))
        return false;
    *micros = (uint64_t)(seconds * 1e6 + 0.5);
    return true;
}

/* Microseconds of what is written as seconds; a seventh decimal is left out. */
static bool read_seconds(struct parse *parse, const struct field *field) {
    enum { DECIMALS = 6 };
    struct json_text text;
    uint64_t seconds, micros = 0;
    if (!json_scalar(&parse->json, &text))
        return false;
    if (with_exponent(&text, member_of(parse, field)))
        return true;
    const char *const end = text.start + text.length;
    const char *const point = memchr(text.start, '.', text.length);
    if (!digits(text.start, point ? point : end, UINT64_MAX / 1000000 - 1, &seconds))
        return json_fail(&parse->json, "not a time");
    for (int i = 0; i < DECIMALS; i++) {
        const char c = point && end - point > i + 1 ? point[i + 1] : '0';
        if (c < '0' || c > '9')
            return json_fail(&parse->json, "not a time");
        micros = micros * 10 + (unsigned)(c - '0');
    }
    *(uint64_t *)member_of(parse, field) = seconds * 1000000 + micros;
    return true;
}

static bool scalar_bool(struct parse *parse, bool *value) {
    struct json_text text;
    if (!json_scalar(&parse->json, &text))
        return false;
    *value = text.start[0] == 't';
    return *value || text.start[0] == 'f' || json_fail(&parse->json, "neither true nor false");
}

static bool read_bool(struct parse *parse, const struct field *field) {
    return scalar_bool(parse, member_of(parse, field));
}

static bool read_used(struct parse *parse, const struct field *field) {
    bool used = false;
    if (!scalar_bool(parse, &used))
        return false;
    *(enum event_used *)member_of(parse, field) = used ? USED_YES : USED_NO;
    return true;
}

static bool read_string(struct parse *parse, const struct field *field) {
    return (*(const char **)member_of(parse, field) = json_string(&parse->json, NULL)) != NULL;
}

/* All such members are ints or enums, which have an int's size here. */
static bool read_word(struct parse *parse, const struct field *field) {
    const char *const start = parse->json.at;
    const char *text = json_string(&parse->json, NULL);
    for (unsigned i = 0; text && i < field->words->count; i++) {
        const char *word = field->words->word(i);
        if (word && strcmp(word, text) == 0) {
            *(int *)member_of(parse, field) = (int)i;
            return true;
        }
    }
    if (!text)
        return false;
    parse->json.at = start;
    return json_fail(&parse->json, "unknown word");
}

static bool read_cookie(struct parse *parse, const struct field *field) {
    size_t length;
    const char *text = json_string(&parse->json, &length);
    return text && (digits(text, text + length, UINT64_MAX, member_of(parse, field)) ||
                    json_fail(&parse->json, "not a socket cookie"));
}

/* One of a number without a name is written as the number. */
static bool read_errno(struct parse *parse, const struct field *field) {
    enum { ERRNO_MAX = 4096 };
    size_t length;
    uint64_t number;
    int *const error = member_of(parse, field);
    const char *text = json_string(&parse->json, &length);
    if (!text)
        return false;
    for (*error = 1; *error < ERRNO_MAX; ++*error)
        if (errno_name(*error) && strcmp(errno_name(*error), text) == 0)
            return true;
    const bool negative = text[0] == '-';
    if (!digits(text + negative, text + length, INT_MAX, &number))
        return json_fail(&parse->json, "not an errno name");
    *error = negative ? -(int)number : (int)number;
    return true;
}

/*
 * What was not UTF-8 came as U+FFFD. Here it becomes a byte that is not UTF-8 again, which is rendered the same and
 * takes no more room than the byte it stands for did.
 */
static void copy_bytes(char *into, size_t size, const char *text, size_t length) {
    static const char replacement[] = UTF8_REPLACEMENT;
    size_t used = 0;
    memset(into, 0, size);
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t count = utf8_next(text + i, length - i, &code);
        const bool replaced = count == 3 && memcmp(text + i, replacement, 3) == 0;
        if (used + (replaced ? 1 : count) > size)
            return;
        if (replaced)
            into[used++] = '\xff';
        else
            memcpy(into + used, text + i, count), used += count;
        i += count;
    }
}

static bool read_comm(struct parse *parse, const struct field *field) {
    size_t length;
    const char *text = json_string(&parse->json, &length);
    if (text)
        copy_bytes(member_of(parse, field), COMM_SIZE, text, length);
    return text != NULL;
}

static bool hex(const char *text, const char *end, uint64_t *number) {
    *number = 0;
    if (text == end || end - text > 16)
        return false;
    for (; text < end; text++) {
        const char *const all = "0123456789abcdef";
        const char *const digit = *text ? strchr(all, *text) : NULL;
        if (!digit)
            return false;
        *number = *number << 4 | (uint64_t)(digit - all);
    }
    return true;
}

static bool read_caller(struct parse *parse, const struct field *field) {
    struct event *event = parse->event;
    size_t length;
    const char *text = json_string(&parse->json, &length);
    (void)field;
    if (!text)
        return false;
    const char *plus = text + length;
    while (plus > text && plus[-1] != '+')
        plus--;
    if (text + length - plus < 3 || plus == text || memcmp(plus, "0x", 2) != 0 ||
        !hex(plus + 2, text + length, &event->caller_offset))
        return json_fail(&parse->json, "not MODULE+0xOFFSET");
    copy_bytes(event->caller_module, CALLER_MODULE_SIZE, text, (size_t)(plus - 1 - text));
    return true;
}

static bool address_of(const char *text, size_t length, struct address *address) {
    const char *const end = text + length;
    const char *colon = end;
    uint64_t port, scope = 0;
    unsigned bits;
    while (colon > text && *colon != ':')
        colon--;
    const char *host_end = colon;
    if (!digits(colon + (*colon == ':'), end, UINT16_MAX, &port))
        return false;
    const char *const percent = memchr(text, '%', (size_t)(host_end - text));
    char host[ADDRESS_TEXT_SIZE];
    if (percent && host_end > percent + 1 && host_end[-1] == ']' && text[0] == '[' &&
        digits(percent + 1, host_end - 1, UINT32_MAX, &scope)) {
        text++;
        host_end = percent;
    }
    const size_t host_length = (size_t)(host_end - text);
    if (host_length >= sizeof host || memchr(text, '/', host_length))
        return false;
    memcpy(host, text, host_length);
    if (!address_prefix_parse(host, host_length, address, &bits))
        return false;
    address->port = (uint16_t)port;
    address->scope_id = (uint32_t)scope;
    return true;
}

static bool read_address(struct parse *parse, const struct field *field) {
    size_t length;
    const char *text = json_string(&parse->json, &length);
    return text && (address_of(text, length, member_of(parse, field)) || json_fail(&parse->json, "not ADDRESS:PORT"));
}

static bool read_list(struct parse *parse, const struct field *field) {
    bool first = true;
    if (!json_expect(&parse->json, '['))
        return false;
    const char **const list = parse->list;
    while (json_item(&parse->json, &first)) {
        if (parse->list_end - parse->list < 2)
            return json_fail(&parse->json, "too many words");
        *parse->list++ = json_string(&parse->json, NULL);
    }
    if (json_failed(&parse->json) || parse->list == parse->list_end)
        return json_fail(&parse->json, "too many words");
    *parse->list++ = NULL;
    *(const char *const **)member_of(parse, field) = list;
    return true;
}

static bool read_schema(struct parse *parse, const struct field *field) {
    uint64_t schema = 0;
    (void)field;
    if (!scalar_unsigned(parse, UINT64_MAX, &schema))
        return false;
    parse->newer = schema > SCHEMA_KNOWN;
    return !parse->newer || json_fail(&parse->json, "from a newer version of closetrace");
}

static bool read_holders(struct parse *parse, const struct field *field);

static bool read_holders_more(struct parse *parse, const struct field *field) {
    uint64_t more = 0;
    (void)field;
    if (!scalar_unsigned(parse, UINT_MAX, &more))
        return false;
    parse->event->holder_count += (unsigned)more;
    return true;
}

#define IN(member) offsetof(struct event, member)

static const struct field fields[] = {
    {"time", read_seconds, IN(time_us), 0, NULL},
    {"pid", read_int, IN(pid), 0, NULL},
    {"tid", read_int, IN(tid), 0, NULL},
    {"comm", read_comm, IN(comm), 0, NULL},
    {"op", read_word, IN(op), 0, &ops},
    {"call", read_string, IN(call), 0, NULL},
    {"fd", read_int, IN(fd), HAS_FD, NULL},
    {"ret", read_long, IN(ret), HAS_RET, NULL},
    {"errno", read_errno, IN(error), HAS_ERRNO, NULL},
    {"how", read_word, IN(how), HAS_HOW, &hows},
    {"child", read_int, IN(child), HAS_CHILD, NULL},
    {"shared", read_unsigned, IN(shared), HAS_SHARED, NULL},
    {"status", read_int, IN(status), HAS_STATUS, NULL},
    {"socket", read_cookie, IN(cookie), HAS_SOCKET, NULL},
    {"local", read_address, IN(local), 0, NULL},
    {"remote", read_address, IN(remote), 0, NULL},
    {"role", read_word, IN(role), 0, &roles},
    {"refs_before", read_unsigned, IN(refs_before), HAS_REFS_BEFORE, NULL},
    {"refs_after", read_unsigned, IN(refs_after), HAS_REFS_AFTER, NULL},
    {"refs_partial", read_bool, IN(refs_partial), 0, NULL},
    {"fin", read_word, IN(fin), 0, &fins},
    {"why", read_word, IN(why), 0, &whys},
    {"verified", read_bool, IN(verified), 0, NULL},
    {"pending", read_unsigned, IN(pending), HAS_PENDING, NULL},
    {"backlog", read_unsigned, IN(backlog), HAS_BACKLOG, NULL},
    {"lost", read_u64, IN(lost), HAS_LOST, NULL},
    {"would", read_word, IN(would), 0, &fins},
    {"holders", read_holders, 0, 0, NULL},
    {"holders_more", read_holders_more, 0, 0, NULL},
    {"state_before", read_word, IN(state_before), 0, &states},
    {"state_after", read_word, IN(state_after), 0, &states},
    {"unread", read_u64, IN(unread), HAS_UNREAD, NULL},
    {"unsent", read_u64, IN(unsent), HAS_UNSENT, NULL},
    {"sent", read_u64, IN(sent), HAS_TRAFFIC, NULL},
    {"received", read_u64, IN(received), HAS_TRAFFIC, NULL},
    {"unacked", read_u64, IN(unacked), HAS_TRAFFIC, NULL},
    {"idle", read_seconds, IN(idle_us), HAS_IDLE, NULL},
    {"in_state", read_seconds, IN(in_state_us), HAS_IN_STATE, NULL},
    {"expires", read_seconds, IN(expires_us), HAS_EXPIRES, NULL},
    {"used", read_used, IN(used), 0, NULL},
    {"last", read_word, IN(last), 0, &lasts},
    {"reach", read_word, IN(reach), 0, &reaches},
    {"peer_state", read_word, IN(peer_state), 0, &states},
    {"sigpipe", read_word, IN(sigpipe), 0, &sigpipes},
    {"caller", read_caller, 0, 0, NULL},
    {"injected", read_string, IN(injected), 0, NULL},
    {"not_injected", read_string, IN(not_injected), 0, NULL},
    {"not_injected_why", read_string, IN(not_injected_why), 0, NULL},
    {"duration", read_seconds, IN(duration_us), HAS_DURATION, NULL},
    {"schema", read_schema, 0, 0, NULL},
    {"version", read_string, IN(version), 0, NULL},
    {"command", read_list, IN(command), 0, NULL},
    {"command_more", read_unsigned, IN(command_more), 0, NULL},
    {"seed", read_unsigned, IN(seed), 0, NULL},
    {"rules", read_list, IN(rules), 0, NULL},
    {"rules_more", read_unsigned, IN(rules_more), 0, NULL},
    {"finding", read_string, IN(finding), 0, NULL},
    {"possible", read_bool, IN(possible), 0, NULL},
    {"sockets", read_list, IN(sockets), 0, NULL},
    {"evidence", read_list, IN(evidence), 0, NULL},
    {"matched", read_u64, IN(matched), 0, NULL},
    {"fired", read_u64, IN(fired), 0, NULL},
    {"fired_nowhere", read_bool, IN(fired_nowhere), 0, NULL},
    {"rule", read_string, IN(rule), 0, NULL},
    {"events", read_u64, IN(events), 0, NULL},
    {"after_fin", read_seconds, IN(after_fin_us), HAS_AFTER_FIN, NULL},
    {"asked_after", read_seconds, IN(asked_after_us), HAS_ASKED_AFTER, NULL},
    {"asked", read_u64, IN(asked), HAS_ASKED, NULL},
    {"contradicted", read_u64, IN(contradicted), 0, NULL},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static bool has_key(const struct field *field, const struct json_text *key) {
    return field->key[0] == key->start[0] && strlen(field->key) == key->length &&
           memcmp(field->key, key->start, key->length) == 0;
}

/* They come in the order of the list: the search goes on where the last one was found. */
static const struct field *field_of(const struct json_text *key, unsigned *from) {
    for (unsigned i = 0; i < FIELDS; i++) {
        const struct field *field = &fields[(*from + i) % FIELDS];
        if (has_key(field, key)) {
            *from = (unsigned)(field - fields) + 1;
            return field;
        }
    }
    return NULL;
}

struct holder_key {
    const char *key;
    bool (*read)(struct parse *parse, const struct field *field);
    size_t offset;
};

static bool holder_member(struct parse *parse, const struct json_text *key, struct holder *holder) {
    static const struct holder_key keys[] = {
        {"pid", read_int, offsetof(struct holder, pid)},      {"tid", read_int, offsetof(struct holder, tid)},
        {"comm", read_comm, offsetof(struct holder, comm)},   {"fd", read_int, offsetof(struct holder, fd)},
        {"call", read_string, offsetof(struct holder, call)},
    };
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
        /* As a field of the event, the holder being at a distance from it. */
        const struct field field = {keys[i].key, keys[i].read,
                                    (size_t)((char *)holder - (char *)parse->event) + keys[i].offset, 0, NULL};
        if (has_key(&field, key))
            return keys[i].read(parse, &field);
    }
    return json_skip(&parse->json);
}

static bool read_holder(struct parse *parse) {
    struct event *event = parse->event;
    struct holder *const holder = &event->holders[event->holders_named];
    struct json_text key;
    bool first = true;
    if (event->holders_named == HOLDERS_SHOWN) {
        event->holder_count++;
        return json_skip(&parse->json);
    }
    memset(holder, 0, sizeof *holder);
    holder->fd = -1;
    if (!json_expect(&parse->json, '{'))
        return false;
    while (json_member(&parse->json, &first, &key))
        if (!holder_member(parse, &key, holder))
            return false;
    event->holders_named++;
    event->holder_count++;
    return !json_failed(&parse->json);
}

static bool read_holders(struct parse *parse, const struct field *field) {
    bool first = true;
    (void)field;
    if (!json_expect(&parse->json, '['))
        return false;
    while (json_item(&parse->json, &first))
        if (!read_holder(parse))
            return false;
    return !json_failed(&parse->json);
}

static bool read_members(struct parse *parse) {
    struct json_text key;
    unsigned from = 0;
    bool first = true, is_event = false;
    if (!json_expect(&parse->json, '{'))
        return false;
    while (json_member(&parse->json, &first, &key)) {
        const struct field *field = field_of(&key, &from);
        if (!(field ? field->read(parse, field) : json_skip(&parse->json)))
            return false;
        parse->event->has |= field ? field->has : 0;
        is_event |= field && field->words == &ops;
    }
    if (json_failed(&parse->json) || !json_end(&parse->json))
        return false;
    if (!is_event)
        parse->json.wrong = "not an event: it has no \"op\"";
    return is_event;
}

static void say_wrong(const struct json *json, bool newer, struct event_wrong *wrong) {
    struct line message;
    wrong->offset = (size_t)(json->at - json->text);
    wrong->newer = newer;
    line_init(&message, wrong->message, sizeof wrong->message - 1);
    line_text(&message, json->wrong);
    wrong->message[message.length] = '\0';
}

/* One end of the store is for the lists, which must be aligned, the other for the strings. */
static void divide(struct parse *parse, const char *line, size_t length, const struct event_store *store) {
    const size_t lists = (store->size - length) / sizeof(char *);
    parse->list = store->memory;
    parse->list_end = parse->list + lists;
    json_init(&parse->json, line, length, (char *)store->memory + lists * sizeof(char *),
              store->size - lists * sizeof(char *));
}

bool event_parse(const char *line, size_t length, struct event *event, const struct event_store *store,
                 struct event_wrong *wrong) {
    struct parse parse = {.event = event};
    divide(&parse, line, length, store);
    event_init(event, OP_START);
    if (read_members(&parse))
        return true;
    say_wrong(&parse.json, parse.newer, wrong);
    return false;
}

const char *event_key(unsigned i) {
    return i < FIELDS ? fields[i].key : NULL;
}

const char *event_key_word(const char *key, size_t length, unsigned i) {
    const struct json_text text = {key, length};
    unsigned from = 0;
    const struct field *field = field_of(&text, &from);
    if (!field || !field->words)
        return NULL;
    for (unsigned word = 0; word < field->words->count; word++)
        if (field->words->word(word) && i-- == 0)
            return field->words->word(word);
    return NULL;
}

bool event_key_is_number(const char *key, size_t length) {
    const struct json_text text = {key, length};
    unsigned from = 0;
    const struct field *field = field_of(&text, &from);
    return field && (field->read == read_u64 || field->read == read_unsigned || field->read == read_int ||
                     field->read == read_long || field->read == read_seconds || field->read == read_schema ||
                     field->read == read_holders_more);
}
