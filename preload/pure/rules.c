#include "rules.h"

#include <string.h>

#include "complaint.h"
#include "line.h"
#include "names.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Without the blanks around it: the beginning, *length in place of what it was. */
static const char *trim(const char *text, size_t *length) {
    while (*length > 0 && is_blank(text[*length - 1]))
        --*length;
    for (; *length > 0 && is_blank(*text); text++)
        --*length;
    return text;
}

/* The rule is a string of ours, in rules->text. */
static bool add(const char *text, bool outlives, struct rules *rules, struct parse_error *error) {
    if (rules->count == RULES_MAX)
        return complain_plainly(error, 0, "too many rules: at most 64 are allowed");
    if (!rule_parse(text, outlives, &rules->list[rules->count], error))
        return false;
    rules->texts[rules->count++] = text;
    rules->texts[rules->count] = NULL;
    return true;
}

static char *keep_rule(const char *text, size_t length, struct rules *rules) {
    if (length >= sizeof rules->text - rules->used)
        return NULL;
    char *kept = rules->text + rules->used;
    memcpy(kept, text, length);
    kept[length] = '\0';
    rules->used += length + 1;
    return kept;
}

static bool too_long(size_t offset, struct parse_error *error) {
    return complain_plainly(error, offset, "the rules are longer than 64 kilobytes");
}

static void name_rule_place(const char *path, unsigned number, struct rules *rules, struct settings_error *error) {
    struct line place;
    line_init(&place, rules->place, sizeof rules->place - 1);
    line_printable(&place, path, strlen(path));
    line_back(&place, place.length);
    line_char(&place, ':');
    line_unsigned(&place, number);
    rules->place[place.length] = '\0';
    error->place = rules->place;
}

/* What stands before a # that begins a word. */
static size_t without_comment(const char *line, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (line[i] == '#' && (i == 0 || is_blank(line[i - 1])))
            return i;
    return length;
}

/* One line of a file, its end already a NUL. A rule that ended at another NUL would be half a rule. */
static bool read_rule_line(char *line, size_t length, bool outlives, struct rules *rules,
                           struct settings_error *error) {
    const size_t nul = strlen(line);
    error->text = line;
    if (nul < length)
        return complain_plainly(&error->parse, nul, "a NUL character: rules are text, one per line");
    length = without_comment(line, length);
    char *rule = line + (trim(line, &length) - line);
    if (length == 0)
        return true;
    rule[length] = '\0';
    error->text = rule;
    return add(rule, outlives, rules, &error->parse);
}

static bool unreadable(const char *text, size_t offset, long reason, struct settings_error *error) {
    struct line message;
    const char *name = errno_name((int)-reason);
    error->text = text;
    complain_about(&message, &error->parse, offset, "cannot be read (");
    line_text(&message, name ? name : "?");
    line_text(&message, "): expected a regular file of rules, one per line");
    return complain(&message, &error->parse);
}

static bool read_file(const char *path, size_t offset, const char *text, bool outlives, rules_file_reader *reader,
                      struct rules *rules, struct settings_error *error) {
    char *begin = rules->text + rules->used;
    const size_t room = sizeof rules->text - rules->used;
    const long length = reader(path, begin, room);
    if (length < 0)
        return unreadable(text, offset, length, error);
    if ((size_t)length >= room)
        return too_long(offset, &error->parse);
    begin[length] = '\0';
    rules->used += (size_t)length + 1;
    unsigned number = 1;
    for (char *line = begin; line; number++) {
        char *end = memchr(line, '\n', (size_t)(begin + length - line));
        if (end)
            *end = '\0';
        name_rule_place(path, number, rules, error);
        if (!read_rule_line(line, (size_t)((end ? end : begin + length) - line), outlives, rules, error))
            return false;
        line = end ? end + 1 : NULL;
    }
    error->place = NULL;
    return true;
}

bool rules_read(const char *text, bool outlives, rules_file_reader *reader, struct rules *rules,
                struct settings_error *error) {
    rules->count = 0;
    rules->used = 0;
    rules->texts[0] = NULL;
    error->place = NULL;
    for (size_t at = 0; text && *text;) {
        size_t length = strcspn(text + at, ";");
        const size_t next = at + length;
        const char *begin = trim(text + at, &length);
        const size_t offset = (size_t)(begin - text);
        const char *rule = keep_rule(begin, length, rules);
        error->text = text;
        if (!rule)
            return too_long(offset, &error->parse);
        if (rule[0] == '@') {
            if (!read_file(rule + 1, offset + 1, text, outlives, reader, rules, error))
                return false;
        } else if (!add(rule, outlives, rules, &error->parse)) {
            error->parse.offset += offset;
            return false;
        }
        if (text[next] == '\0')
            break;
        at = next + 1;
    }
    return true;
}

unsigned rules_families(const struct rules *rules) {
    unsigned families = 0;
    for (unsigned i = 0; i < rules->count; i++)
        families |= rule_families(&rules->list[i]);
    return families;
}
