#include <limits.h>
#include <string.h>

#include "complaint.h"
#include "names.h"
#include "rule.h"

/* The text that is being read, and where. */
struct reading {
    const char *text;
    struct rule *rule;
    struct parse_error *error;
    size_t offsets[PART_COUNT];
};

/* A value: the length bytes at text + at. */
struct value {
    size_t at, length;
};

static const char *text_of(const struct reading *reading, struct value value) {
    return reading->text + value.at;
}

static bool wrong(const struct reading *reading, struct value value, const char *what, const char *right) {
    struct line message;
    complain_about(&message, reading->error, value.at, what);
    line_char(&message, ' ');
    complaint_quote(&message, text_of(reading, value), value.length);
    line_text(&message, "; expected ");
    line_text(&message, right);
    return complain(&message, reading->error);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Decimal digits at the beginning of *value, which goes on behind them. False: there is none, or too large a number. */
static bool take_number(const struct reading *reading, struct value *value, uint64_t max, uint64_t *number) {
    const size_t start = value->at;
    *number = 0;
    for (; value->length > 0 && is_digit(reading->text[value->at]); value->at++, value->length--) {
        const uint64_t digit = (uint64_t)(reading->text[value->at] - '0');
        if (*number > (max - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return value->at > start;
}

static bool take_text(const struct reading *reading, struct value *value, const char *text) {
    const size_t length = strlen(text);
    if (value->length < length || memcmp(text_of(reading, *value), text, length) != 0)
        return false;
    value->at += length;
    value->length -= length;
    return true;
}

static bool read_unsigned(const struct reading *reading, struct value value, uint64_t max, uint64_t *number) {
    return take_number(reading, &value, max, number) && value.length == 0;
}

/* Nanoseconds. Without a unit they are microseconds, as strace's delays are. */
static bool read_time(const struct reading *reading, struct value value, uint64_t *time) {
    static const struct unit {
        const char *name;
        uint64_t nanoseconds;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"", 1000}};
    enum { UNITS = sizeof units / sizeof *units };
    const uint64_t max = (uint64_t)INT_MAX * 1000000000;
    struct value rest = value;
    uint64_t number;
    if (take_number(reading, &rest, max, &number)) {
        for (unsigned i = 0; i < UNITS; i++) {
            if (rest.length != strlen(units[i].name) || memcmp(text_of(reading, rest), units[i].name, rest.length) != 0)
                continue;
            *time = number * units[i].nanoseconds;
            if (number <= max / units[i].nanoseconds)
                return true;
        }
    }
    return wrong(reading, value, "not a time:", "a whole number with s, ms, us or ns (without: microseconds)");
}

static bool error_part(struct reading *reading, struct value value) {
    uint64_t number;
    for (int error = 1; error <= RULE_ERRNO_MAX; error++) {
        const char *name = errno_name(error);
        if (!name || strlen(name) != value.length || memcmp(name, text_of(reading, value), value.length) != 0)
            continue;
        reading->rule->error = error;
        return true;
    }
    if (!read_unsigned(reading, value, RULE_ERRNO_MAX, &number) || number == 0)
        return wrong(reading, value, "not an error:", "a name as in errno(3), EIO, or a number from 1 to 4095");
    reading->rule->error = (int)number;
    return true;
}

static bool hexadecimal(const struct reading *reading, struct value value, uint64_t *number) {
    static const char digits[] = "0123456789abcdef";
    *number = 0;
    if (value.length == 0 || value.length > 15)
        return false;
    for (size_t i = 0; i < value.length; i++) {
        const char c = text_of(reading, value)[i];
        const char *found = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
        if (!c || !found)
            return false;
        *number = *number * 16 + (uint64_t)(found - digits);
    }
    return true;
}

static bool retval_part(struct reading *reading, struct value value) {
    struct value rest = value;
    uint64_t number;
    const bool negative = take_text(reading, &rest, "-");
    const bool hex = take_text(reading, &rest, "0x");
    if (!(hex ? hexadecimal(reading, rest, &number) : read_unsigned(reading, rest, LONG_MAX, &number)))
        return wrong(reading, value, "not a number:", "decimal digits, or 0x and hexadecimal ones");
    reading->rule->retval = negative ? -(long)number : (long)number;
    return true;
}

static char upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* With or without SIG, in any case, as strace takes them. */
static bool is_signal(const struct reading *reading, struct value value, const char *name) {
    static const char prefix[] = "SIG";
    size_t skip = sizeof prefix - 1;
    const char *text = text_of(reading, value);
    if (value.length == strlen(name))
        skip = 0;
    else if (value.length != strlen(name) - skip)
        return false;
    for (size_t i = 0; i < value.length; i++)
        if (upper(text[i]) != name[i + skip])
            return false;
    return true;
}

static bool signal_part(struct reading *reading, struct value value) {
    uint64_t number;
    for (int signal = 1; signal < 32; signal++) {
        const char *name = signal_name(signal);
        if (!name || !is_signal(reading, value, name))
            continue;
        reading->rule->signal = signal;
        return true;
    }
    if (!read_unsigned(reading, value, RULE_SIGNAL_MAX, &number) || number == 0)
        return wrong(reading, value, "not a signal:", "a name, SIGTERM, or a number from 1 to 64");
    reading->rule->signal = (int)number;
    return true;
}

static bool delay_enter_part(struct reading *reading, struct value value) {
    return read_time(reading, value, &reading->rule->delay_enter);
}

static bool delay_exit_part(struct reading *reading, struct value value) {
    return read_time(reading, value, &reading->rule->delay_exit);
}

static bool hold_part(struct reading *reading, struct value value) {
    return read_time(reading, value, &reading->rule->hold);
}

/* FIRST[..LAST][+[STEP]] */
static bool read_when(const struct reading *reading, struct value *rest, struct rule *rule) {
    if (!take_number(reading, rest, UINT32_MAX, &rule->first) || rule->first == 0)
        return false;
    rule->last = rule->first;
    rule->step = 1;
    const bool range = take_text(reading, rest, "..");
    if (range && (!take_number(reading, rest, UINT32_MAX, &rule->last) || rule->last < rule->first))
        return false;
    if (!take_text(reading, rest, "+"))
        return rest->length == 0;
    if (!range)
        rule->last = UINT64_MAX;
    if (rest->length == 0)
        return true;
    return take_number(reading, rest, UINT32_MAX, &rule->step) && rule->step > 0 && rest->length == 0;
}

static bool when_part(struct reading *reading, struct value value) {
    struct value rest = value;
    return read_when(reading, &rest, reading->rule) ||
           wrong(reading, value, "not a choice of calls:", "FIRST[..LAST][+[STEP]], counted from 1: 3, 3+, 2..8, 1+2");
}

static const char *scope_word(unsigned i) {
    return rule_scope_name((enum rule_scope)i);
}

static bool scope_part(struct reading *reading, struct value value) {
    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        if (strlen(scope_word(i)) != value.length || memcmp(scope_word(i), text_of(reading, value), value.length) != 0)
            continue;
        reading->rule->scope = (enum rule_scope)i;
        return true;
    }
    return complain_of_word(reading->error, value.at, "unknown scope", text_of(reading, value), value.length,
                            scope_word, SCOPE_COUNT);
}

/* P%, with decimals: in parts of RULE_CERTAIN. */
static bool read_chance(const struct reading *reading, struct value *rest, uint64_t *chance) {
    uint64_t whole = 0, decimals = 0, unit = 1;
    if (!take_number(reading, rest, 100, &whole))
        return false;
    if (take_text(reading, rest, ".")) {
        const size_t start = rest->at;
        if (!take_number(reading, rest, 999999, &decimals))
            return false;
        for (size_t digits = rest->at - start; digits > 0; digits--)
            unit *= 10;
        if (unit > 1000000)
            return false;
    }
    const uint64_t parts = whole * unit + decimals;
    *chance = RULE_CERTAIN * parts / (100 * unit);
    return parts <= 100 * unit && take_text(reading, rest, "%") && rest->length == 0;
}

static bool prob_part(struct reading *reading, struct value value) {
    struct value rest = value;
    return read_chance(reading, &rest, &reading->rule->chance) ||
           wrong(reading, value, "not a probability:", "0% to 100%, as in prob=12.5%");
}

static const char *way_word(unsigned i) {
    return rule_way_name((enum rule_way)(i + 1));
}

static bool read_way(const struct reading *reading, struct value value, enum rule_way *way) {
    for (unsigned i = WAY_UNSET + 1; i < WAY_COUNT; i++) {
        const char *name = rule_way_name((enum rule_way)i);
        if (strlen(name) != value.length || memcmp(name, text_of(reading, value), value.length) != 0)
            continue;
        *way = (enum rule_way)i;
        return true;
    }
    return complain_of_word(reading->error, value.at, "unknown way", text_of(reading, value), value.length, way_word,
                            WAY_COUNT - 1);
}

static bool as_part(struct reading *reading, struct value value) {
    return read_way(reading, value, &reading->rule->as);
}

static bool then_part(struct reading *reading, struct value value) {
    return read_way(reading, value, &reading->rule->then);
}

static bool short_part(struct reading *reading, struct value value) {
    return (read_unsigned(reading, value, LONG_MAX, &reading->rule->most) && reading->rule->most > 0) ||
           wrong(reading, value, "not a number of bytes:", "1 or more");
}

/* The kernel counts in seconds: what is left over counts as one. */
static bool read_seconds(const struct reading *reading, struct value value, int *seconds) {
    uint64_t time = 0;
    if (!read_time(reading, value, &time))
        return false;
    *seconds = (int)((time + 999999999) / 1000000000);
    return true;
}

static bool linger_part(struct reading *reading, struct value value) {
    return read_seconds(reading, value, &reading->rule->linger);
}

static bool linger2_part(struct reading *reading, struct value value) {
    struct value rest = value;
    if (take_text(reading, &rest, "-1") && rest.length == 0) {
        reading->rule->linger2 = -1;
        return true;
    }
    return read_seconds(reading, value, &reading->rule->linger2);
}

static bool (*const read_value[PART_COUNT])(struct reading *reading, struct value value) = {
    [PART_ERROR] = error_part,
    [PART_RETVAL] = retval_part,
    [PART_SIGNAL] = signal_part,
    [PART_DELAY_ENTER] = delay_enter_part,
    [PART_DELAY_EXIT] = delay_exit_part,
    [PART_WHEN] = when_part,
    [PART_SCOPE] = scope_part,
    [PART_PROB] = prob_part,
    [PART_AS] = as_part,
    [PART_THEN] = then_part,
    [PART_HOLD] = hold_part,
    [PART_SHORT] = short_part,
    [PART_LINGER] = linger_part,
    [PART_LINGER2] = linger2_part,
};

/* Parts of strace's that there are none of here, and what there is instead. */
static const struct foreign {
    const char *name, *instead;
} foreign[] = {
    {"poke_enter", "poke_enter= exists only in strace (closetrace does not write to memory): error=, retval= or short= "
                   "change a call"},
    {"poke_exit",
     "poke_exit= exists only in strace (closetrace does not write to memory): error=, retval= or short= change a call"},
    {"syscall", "syscall= exists only in strace (closetrace does not replace calls): as= turns one end into another"},
};

static bool is_word(const struct reading *reading, struct value value, const char *word) {
    return strlen(word) == value.length && memcmp(word, text_of(reading, value), value.length) == 0;
}

/* Parts first, then the keys of conditions. */
static const char *key_word(unsigned i) {
    return i < PART_COUNT ? rule_part_name((enum rule_part)i)
                          : condition_key_name((enum condition_key)(i - PART_COUNT));
}

static bool unknown_part(const struct reading *reading, struct value key) {
    struct line message;
    for (unsigned i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (is_word(reading, key, foreign[i].name))
            return complain_plainly(reading->error, key.at, foreign[i].instead);
    const char *nearest = nearest_word(text_of(reading, key), key.length, key_word, PART_COUNT + KEY_COUNT);
    complain_about(&message, reading->error, key.at, key.length == 0 ? "a part is missing: " : "unknown part ");
    if (key.length > 0)
        complaint_quote(&message, text_of(reading, key), key.length);
    if (nearest) {
        line_text(&message, ", did you mean ");
        line_text(&message, nearest);
        line_text(&message, "=?");
        return complain(&message, reading->error);
    }
    for (unsigned i = 0; i < PART_COUNT; i++) {
        line_text(&message, i > 0 ? ", " : key.length > 0 ? ": " : "");
        line_text(&message, rule_part_name((enum rule_part)i));
    }
    line_text(&message, ", or a condition");
    return complain(&message, reading->error);
}

static bool is_condition(const struct reading *reading, struct value key) {
    for (unsigned i = 0; i < KEY_COUNT; i++)
        if (is_word(reading, key, condition_key_name((enum condition_key)i)))
            return true;
    return false;
}

static bool condition_part(const struct reading *reading, struct value part) {
    struct conditions *conditions = &reading->rule->conditions;
    if (conditions->count == CONDITIONS_MAX)
        return complain_plainly(reading->error, part.at, "too many conditions: at most 16 are allowed");
    return condition_parse(reading->text, part.at, part.length, &conditions->list[conditions->count++], reading->error);
}

static bool read_part(struct reading *reading, struct value part) {
    struct value key = part;
    const char *text = text_of(reading, part);
    for (key.length = 0; key.length < part.length && text[key.length] != '=' && text[key.length] != '!';)
        key.length++;
    if (is_condition(reading, key))
        return condition_part(reading, part);
    unsigned i = 0;
    while (i < PART_COUNT && !is_word(reading, key, rule_part_name((enum rule_part)i)))
        i++;
    if (i == PART_COUNT)
        return unknown_part(reading, key);
    if (key.length == part.length || text[key.length] != '=')
        return complain_plainly(reading->error, part.at + key.length, "expected PART=VALUE");
    if (reading->rule->parts & 1U << i)
        return complain_plainly(reading->error, part.at, "this part is given twice");
    reading->rule->parts |= 1U << i;
    reading->offsets[i] = part.at;
    return read_value[i](reading, (struct value){key.at + key.length + 1, part.length - key.length - 1});
}

static const char *call_word(unsigned i) {
    const struct rule_call *call = rule_call_at(i);
    return call ? call->name : NULL;
}

static bool unknown_call(const struct reading *reading, struct value name) {
    struct line message;
    unsigned count = 0;
    while (call_word(count))
        count++;
    const char *nearest = nearest_word(text_of(reading, name), name.length, call_word, count);
    complain_about(&message, reading->error, name.at, name.length == 0 ? "a call is missing: " : "unknown call ");
    if (name.length > 0) {
        complaint_quote(&message, text_of(reading, name), name.length);
        line_text(&message, ": ");
    }
    for (unsigned i = 0; rule_family_name(i); i++) {
        line_text(&message, i > 0 ? ", " : "");
        line_text(&message, rule_family_name(i));
    }
    line_text(&message, ", or one function of these");
    if (nearest) {
        line_text(&message, " (did you mean ");
        line_text(&message, nearest);
        line_text(&message, "?)");
    }
    return complain(&message, reading->error);
}

static bool read_call(const struct reading *reading, struct value name) {
    struct rule *rule = reading->rule;
    for (unsigned i = 0; rule_family_name(i); i++) {
        if (!is_word(reading, name, rule_family_name(i)))
            continue;
        rule->families |= 1U << i;
        return true;
    }
    const struct rule_call *call = rule_call_find(text_of(reading, name), name.length);
    if (!call)
        return unknown_call(reading, name);
    if (rule->name_count == RULE_NAMES_MAX)
        return complain_plainly(reading->error, name.at,
                                "too many functions: at most 16 are allowed; name their family");
    rule->names[rule->name_count++] = call;
    return true;
}

/* Up to the first ':' or the end. */
static bool read_calls(const struct reading *reading, size_t *at) {
    for (;; ++*at) {
        const struct value name = {*at, strcspn(reading->text + *at, ",:")};
        if (!read_call(reading, name))
            return false;
        *at += name.length;
        if (reading->text[*at] != ',')
            return true;
    }
}

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool rule_parse(const char *text, bool outlives, struct rule *rule, struct parse_error *error) {
    enum { FAULT_ERROR = 38 }; /* ENOSYS: what strace's fault= does where it is told nothing else */
    static const char inject[] = "inject=";
    static const char fault[] = "fault=";
    struct reading reading = {.text = text, .rule = rule, .error = error};
    size_t at = starts_with(text, inject) ? sizeof inject - 1 : starts_with(text, fault) ? sizeof fault - 1 : 0;
    memset(rule, 0, sizeof *rule);
    rule->text = text;
    if (!read_calls(&reading, &at))
        return false;
    while (text[at] == ':') {
        const struct value part = {at + 1, condition_length(text + at + 1)};
        if (!read_part(&reading, part))
            return false;
        at = part.at + part.length;
    }
    if (starts_with(text, fault) && !(rule->parts & (1U << PART_ERROR | 1U << PART_RETVAL))) {
        rule->parts |= 1U << PART_ERROR;
        rule->error = FAULT_ERROR;
    }
    return rule_check(rule, outlives, reading.offsets, error);
}
