#include "condition.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "complaint.h"
#include "line.h"
#include "names.h"

enum value_kind { VALUE_NUMBER, VALUE_TIME, VALUE_ADDRESS, VALUE_WORD, VALUE_GLOB };

/* The words that a VALUE_WORD may take. */
struct vocabulary {
    const char *what; /* of a complaint */
    const char *(*word)(unsigned i);
    unsigned count;
};

static const char *role_word(unsigned i) {
    return role_name((enum event_role)(i + ROLE_CLIENT));
}

static const char *state_word(unsigned i) {
    return state_name((enum tcp_state)(i + STATE_ESTABLISHED));
}

static const char *how_word(unsigned i) {
    return how_name((int)i + SHUT_RD);
}

static const struct vocabulary roles = {"unknown role", role_word, ROLE_COUNT - ROLE_CLIENT};
static const struct vocabulary states = {"unknown state", state_word, STATE_NEW_SYN_RECV - STATE_ESTABLISHED};
static const struct vocabulary hows = {"unknown direction", how_word, SHUT_RDWR - SHUT_RD + 1};

static const struct key {
    const char *name;
    enum value_kind kind;
    uint64_t max; /* of a number */
    const struct vocabulary *vocabulary;
} keys[KEY_COUNT] = {
    [KEY_LPORT] = {"lport", VALUE_NUMBER, 65535, NULL},
    [KEY_RPORT] = {"rport", VALUE_NUMBER, 65535, NULL},
    [KEY_LADDR] = {"laddr", VALUE_ADDRESS, 0, NULL},
    [KEY_RADDR] = {"raddr", VALUE_ADDRESS, 0, NULL},
    [KEY_FD] = {"fd", VALUE_NUMBER, INT_MAX, NULL},
    [KEY_ROLE] = {"role", VALUE_WORD, 0, &roles},
    [KEY_STATE] = {"state", VALUE_WORD, 0, &states},
    [KEY_REFS] = {"refs", VALUE_NUMBER, UINT_MAX, NULL},
    [KEY_SENT] = {"sent", VALUE_NUMBER, UINT64_MAX, NULL},
    [KEY_RECEIVED] = {"received", VALUE_NUMBER, UINT64_MAX, NULL},
    [KEY_UNREAD] = {"unread", VALUE_NUMBER, UINT64_MAX, NULL},
    [KEY_IDLE] = {"idle", VALUE_TIME, (uint64_t)INT_MAX * 1000000, NULL},
    [KEY_HOW] = {"how", VALUE_WORD, 0, &hows},
    [KEY_COMM] = {"comm", VALUE_GLOB, 0, NULL},
    [KEY_CALL] = {"call", VALUE_GLOB, 0, NULL},
    [KEY_CALLER] = {"caller", VALUE_GLOB, 0, NULL},
};

const char *condition_key_name(enum condition_key key) {
    return (size_t)key < KEY_COUNT ? keys[key].name : NULL;
}

static const char *condition_word(unsigned i) {
    return keys[i].name;
}

bool glob_match(const char *glob, size_t glob_length, const char *text, size_t length) {
    size_t g = 0;
    size_t t = 0;
    size_t after_star = SIZE_MAX; /* where to go on in the glob, and in the text, when the last star takes one more */
    size_t star_end = 0;
    while (t < length) {
        if (g < glob_length && glob[g] == '*') {
            after_star = ++g;
            star_end = t;
        } else if (g < glob_length && glob[g] == text[t]) {
            g++;
            t++;
        } else if (after_star != SIZE_MAX) {
            g = after_star;
            t = ++star_end;
        } else
            return false;
    }
    while (g < glob_length && glob[g] == '*')
        g++;
    return g == glob_length;
}

/* A stretch of the text being read; offset is where it stands in the whole. */
struct part {
    const char *text;
    size_t offset, length;
};

static struct part part_from(const struct part *part, size_t start) {
    return (struct part){part->text + start, part->offset + start, part->length - start};
}

static bool complain_of_number(const struct part *part, size_t at, struct parse_error *error) {
    struct line message;
    const bool missing = at == part->length;
    complain_about(&message, error, part->offset + at, missing ? "a number is missing" : "not a number: ");
    if (!missing)
        complaint_quote(&message, part->text + at, part->length - at);
    line_text(&message, "; expected N, FIRST..LAST, FIRST.. or FIRST+ (FIRST or more)");
    return complain(&message, error);
}

static bool complain_of_size(uint64_t max, size_t offset, struct parse_error *error) {
    struct line message;
    complain_about(&message, error, offset, "the number is too large, the largest is ");
    line_unsigned(&message, max);
    return complain(&message, error);
}

/* Decimal digits at *at, which goes on behind them. */
static bool number_parse(const struct part *part, size_t *at, uint64_t max, uint64_t *number,
                         struct parse_error *error) {
    const size_t start = *at;
    *number = 0;
    for (; *at < part->length && part->text[*at] >= '0' && part->text[*at] <= '9'; ++*at) {
        const uint64_t digit = (uint64_t)(part->text[*at] - '0');
        if (*number > (max - digit) / 10)
            return complain_of_size(max, part->offset + start, error);
        *number = *number * 10 + digit;
    }
    return *at > start || complain_of_number(part, start, error);
}

static bool is_digit_at(const struct part *part, size_t at) {
    return at < part->length && part->text[at] >= '0' && part->text[at] <= '9';
}

/* Up to six decimals of a second, at *at: ".5" are 500000 microseconds. */
static uint64_t decimals(const struct part *part, size_t *at) {
    uint64_t microseconds = 0;
    if (*at >= part->length || part->text[*at] != '.' || !is_digit_at(part, *at + 1))
        return 0;
    uint64_t worth = 100000;
    for (++*at; is_digit_at(part, *at); ++*at, worth /= 10)
        microseconds += worth * (uint64_t)(part->text[*at] - '0');
    return microseconds;
}

/* Microseconds: of seconds, which may have decimals, or of what the unit says. */
static bool time_parse(const struct part *part, size_t *at, uint64_t max, uint64_t *microseconds,
                       struct parse_error *error) {
    static const struct {
        const char *name;
        uint64_t times, divided;
    } units[] = {{"ms", 1000, 1}, {"us", 1, 1}, {"ns", 1, 1000}, {"s", 1000000, 1}};
    const size_t start = *at;
    uint64_t number, times = 1000000, divided = 1;
    if (!number_parse(part, at, UINT64_MAX / 2000000, &number, error))
        return false;
    const uint64_t rest = decimals(part, at);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t length = strlen(units[i].name);
        if (part->length - *at < length || memcmp(part->text + *at, units[i].name, length) != 0)
            continue;
        times = units[i].times;
        divided = units[i].divided;
        *at += length;
        break;
    }
    *microseconds = (number * times + rest * times / 1000000) / divided;
    return *microseconds <= max || complain_of_size(max / 1000000, part->offset + start, error);
}

static bool amount_parse(const struct part *part, size_t *at, const struct key *key, uint64_t *amount,
                         struct parse_error *error) {
    return key->kind == VALUE_TIME ? time_parse(part, at, key->max, amount, error)
                                   : number_parse(part, at, key->max, amount, error);
}

static bool range_parse(const struct part *part, const struct key *key, struct condition *condition,
                        struct parse_error *error) {
    size_t at = 0;
    if (!amount_parse(part, &at, key, &condition->first, error))
        return false;
    condition->last = condition->first;
    if (at == part->length)
        return true;
    condition->last = key->max;
    if (part->length - at == 1 && part->text[at] == '+')
        return true;
    if (part->length - at < 2 || memcmp(part->text + at, "..", 2) != 0)
        return complain_of_number(part, at, error);
    at += 2;
    if (at == part->length)
        return true;
    const size_t last_at = at;
    if (!amount_parse(part, &at, key, &condition->last, error))
        return false;
    if (at != part->length)
        return complain_of_number(part, at, error);
    if (condition->last < condition->first)
        return complain_plainly(error, part->offset + last_at, "the range ends before it begins");
    return true;
}

static size_t prefix_length_at(const struct part *part) {
    const char *slash = part->length > 0 ? memchr(part->text, '/', part->length) : NULL;
    return slash ? (size_t)(slash - part->text) + 1 : part->length;
}

static bool address_value(const struct part *part, struct condition *condition, struct parse_error *error) {
    struct address address;
    unsigned bits;
    if (address_prefix_parse(part->text, part->length, &condition->address, &condition->prefix_bits))
        return true;
    const size_t prefix_at = prefix_length_at(part);
    if (prefix_at < part->length && address_prefix_parse(part->text, prefix_at - 1, &address, &bits)) {
        struct line message;
        complain_about(&message, error, part->offset + prefix_at, "not a prefix length: ");
        complaint_quote(&message, part->text + prefix_at, part->length - prefix_at);
        line_text(&message, address.family == ADDRESS_V4 ? "; expected 0 to 32" : "; expected 0 to 128");
        return complain(&message, error);
    }
    struct line message;
    complain_about(&message, error, part->offset, part->length == 0 ? "an address is missing" : "not an address: ");
    if (part->length > 0)
        complaint_quote(&message, part->text, part->length);
    line_text(&message, "; expected an address such as 127.0.0.1, [::1], 10.0.0.0/8 or [2001:db8::]/32");
    return complain(&message, error);
}

static bool glob_value(const struct part *part, struct condition *condition, struct parse_error *error) {
    if (part->length == 0)
        return complain_plainly(error, part->offset, "a word is missing (* stands for any characters)");
    condition->glob = part->text;
    condition->glob_length = part->length;
    return true;
}

static bool word_value(const struct part *part, const struct vocabulary *vocabulary, struct condition *condition,
                       struct parse_error *error) {
    for (unsigned i = 0; i < vocabulary->count; i++) {
        const char *word = vocabulary->word(i);
        if (glob_match(part->text, part->length, word, strlen(word)))
            return glob_value(part, condition, error);
    }
    return complain_of_word(error, part->offset, vocabulary->what, part->text, part->length, vocabulary->word,
                            vocabulary->count);
}

static bool value_parse(const struct part *part, struct condition *condition, struct parse_error *error) {
    const struct key *key = &keys[condition->key];
    switch (key->kind) {
    case VALUE_NUMBER:
    case VALUE_TIME:
        return range_parse(part, key, condition, error);
    case VALUE_ADDRESS:
        return address_value(part, condition, error);
    case VALUE_WORD:
        return word_value(part, key->vocabulary, condition, error);
    default:
        return glob_value(part, condition, error);
    }
}

size_t value_length(const char *values, size_t length) {
    const char *comma = length > 0 ? memchr(values, ',', length) : NULL;
    return comma ? (size_t)(comma - values) : length;
}

/*
 * All are checked, the first is kept: a rule has little room, and the others are read anew where it does not hold. Of a
 * text the whole counts too, so that one with a comma in it is found.
 */
static bool values_parse(const struct part *part, struct condition *condition, struct parse_error *error) {
    const bool is_text = keys[condition->key].kind == VALUE_GLOB;
    struct condition scratch = *condition;
    size_t length = value_length(part->text, part->length);
    const struct part first = {part->text, part->offset, is_text ? part->length : length};
    if (!value_parse(&first, condition, error))
        return false;
    if (length == part->length)
        return true;
    condition->others = is_text ? part->text : part->text + length + 1;
    condition->others_length = part->length - (size_t)(condition->others - part->text);
    for (size_t at = is_text ? 0 : length + 1; at <= part->length; at += length + 1) {
        length = value_length(part->text + at, part->length - at);
        const struct part other = {part->text + at, part->offset + at, length};
        if (!value_parse(&other, &scratch, error))
            return false;
    }
    return true;
}

static bool key_parse(const struct part *part, size_t length, struct condition *condition, struct parse_error *error) {
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        if (strlen(keys[i].name) == length && memcmp(keys[i].name, part->text, length) == 0) {
            condition->key = (enum condition_key)i;
            return true;
        }
    }
    return complain_of_word(error, part->offset, "unknown condition", part->text, length, condition_word, KEY_COUNT);
}

static bool complain_of_operator(const struct part *part, size_t at, struct parse_error *error) {
    struct line message;
    complain_about(&message, error, part->offset + at, "expected KEY=VALUE or KEY!=VALUE, with KEY one of ");
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        line_text(&message, i == 0 ? "" : ", ");
        line_text(&message, keys[i].name);
    }
    return complain(&message, error);
}

/* What somebody may take for a part of a key. */
static bool is_key_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool condition_parse(const char *text, size_t offset, size_t length, struct condition *condition,
                     struct parse_error *error) {
    const struct part part = {text + offset, offset, length};
    size_t at = 0;
    memset(condition, 0, sizeof *condition);
    while (at < length && is_key_letter(part.text[at]))
        at++;
    const size_t key_length = at;
    condition->negated = at < length && part.text[at] == '!';
    if (condition->negated)
        at++;
    if (key_length == 0)
        return complain_of_operator(&part, 0, error);
    if (!key_parse(&part, key_length, condition, error))
        return false;
    if (at == length || part.text[at] != '=')
        return complain_of_operator(&part, at, error);
    const struct part value = part_from(&part, at + 1);
    return values_parse(&value, condition, error);
}

/* Only a value that begins with one has brackets: elsewhere it is a letter. */
size_t condition_length(const char *text) {
    size_t length = 0;
    bool in_brackets = false;
    for (; text[length] != '\0' && (in_brackets || text[length] != ':'); length++) {
        if (text[length] == '[' && length > 0 && (text[length - 1] == '=' || text[length - 1] == ','))
            in_brackets = true;
        else if (text[length] == ']')
            in_brackets = false;
    }
    return length;
}

bool conditions_parse(const char *text, struct conditions *conditions, struct parse_error *error) {
    size_t at = 0;
    conditions->count = 0;
    if (text[0] == '\0')
        return true;
    for (;;) {
        const size_t length = condition_length(text + at);
        if (conditions->count == CONDITIONS_MAX)
            return complain_plainly(error, at, "too many conditions: at most 16 are allowed");
        if (!condition_parse(text, at, length, &conditions->list[conditions->count], error))
            return false;
        conditions->count++;
        at += length;
        if (text[at] == '\0')
            return true;
        at++;
    }
}

static bool number_holds(const struct condition *condition, bool has, uint64_t number) {
    return has && number >= condition->first && number <= condition->last;
}

static bool port_holds(const struct condition *condition, const struct event *event, const struct address *address) {
    return number_holds(condition, (event->has & HAS_SOCKET) && !address_is_unspecified(address), address->port);
}

static bool address_holds(const struct condition *condition, const struct event *event, const struct address *address) {
    return (event->has & HAS_SOCKET) && !address_is_unspecified(address) &&
           address_in_prefix(address, &condition->address, condition->prefix_bits);
}

static bool text_holds(const struct condition *condition, const char *text, size_t length) {
    return length > 0 && glob_match(condition->glob, condition->glob_length, text, length);
}

static bool word_holds(const struct condition *condition, const char *word) {
    return word && text_holds(condition, word, strlen(word));
}

static bool comm_holds(const struct condition *condition, const struct event *event) {
    const char *end = memchr(event->comm, '\0', COMM_SIZE);
    return text_holds(condition, event->comm, end ? (size_t)(end - event->comm) : COMM_SIZE);
}

static bool caller_holds(const struct condition *condition, const struct event *event) {
    char text[CALLER_MODULE_SIZE + sizeof "+0xffffffffffffffff"];
    struct line caller;
    const char *end = memchr(event->caller_module, '\0', CALLER_MODULE_SIZE);
    const size_t length = end ? (size_t)(end - event->caller_module) : CALLER_MODULE_SIZE;
    if (length == 0)
        return false;
    line_init(&caller, text, sizeof text);
    line_bytes(&caller, event->caller_module, length);
    line_text(&caller, "+0x");
    line_hex(&caller, event->caller_offset);
    return text_holds(condition, caller.text, caller.length);
}

static bool field_holds(const struct condition *condition, const struct event *event) {
    switch (condition->key) {
    case KEY_LPORT:
        return port_holds(condition, event, &event->local);
    case KEY_RPORT:
        return port_holds(condition, event, &event->remote);
    case KEY_LADDR:
        return address_holds(condition, event, &event->local);
    case KEY_RADDR:
        return address_holds(condition, event, &event->remote);
    case KEY_FD:
        return number_holds(condition, (event->has & HAS_FD) && event->fd >= 0, (uint64_t)event->fd);
    case KEY_ROLE:
        return (event->has & HAS_SOCKET) && word_holds(condition, role_name(event->role));
    case KEY_STATE:
        return word_holds(condition, state_name(event->state_before ? event->state_before : event->state_after));
    case KEY_REFS:
        return number_holds(condition, event->has & HAS_REFS_BEFORE, event->refs_before);
    case KEY_SENT:
        return number_holds(condition, event->has & HAS_TRAFFIC, event->sent);
    case KEY_RECEIVED:
        return number_holds(condition, event->has & HAS_TRAFFIC, event->received);
    case KEY_UNREAD:
        return number_holds(condition, event->has & HAS_UNREAD, event->unread);
    case KEY_IDLE:
        return number_holds(condition, event->has & HAS_IDLE, event->idle_us);
    case KEY_HOW:
        return (event->has & HAS_HOW) && word_holds(condition, how_name(event->how));
    case KEY_COMM:
        return comm_holds(condition, event);
    case KEY_CALL:
        return word_holds(condition, event->call);
    case KEY_CALLER:
        return caller_holds(condition, event);
    default:
        return false;
    }
}

static bool other_holds(const struct condition *condition, const struct event *event) {
    struct condition other = *condition;
    struct parse_error none;
    for (size_t at = 0, length; at <= condition->others_length; at += length + 1) {
        length = value_length(condition->others + at, condition->others_length - at);
        const struct part value = {condition->others + at, 0, length};
        if (value_parse(&value, &other, &none) && field_holds(&other, event))
            return true;
    }
    return false;
}

bool condition_holds(const struct condition *condition, const struct event *event) {
    const bool holds = field_holds(condition, event) || (condition->others && other_holds(condition, event));
    return holds != condition->negated;
}

bool conditions_hold(const struct conditions *conditions, const struct event *event) {
    for (unsigned i = 0; i < conditions->count; i++)
        if (!condition_holds(&conditions->list[i], event))
            return false;
    return true;
}
