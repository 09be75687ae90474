/*
 * Any list of fault rules, what follows the first NUL as the file that @FILE names: read, or refused with an error
 * that can be shown; what was read is of a kind that can be carried out.
 */
#include "pure/rules.h"

#include <errno.h>

#include "fuzz.h"

static const char *file;

static long read_file(const char *path, char *buffer, size_t size) {
    if (*path == '\0')
        return -ENOENT;
    const size_t length = strlen(file) < size ? strlen(file) : size;
    memcpy(buffer, file, length); // NOLINT(bugprone-not-null-terminated-result): a file has no NUL
    return (long)length;
}

static void check_error(const struct settings_error *error) {
    char buffer[1024];
    MUST(error->parse.offset <= strlen(error->text));
    for (const char *c = error->parse.message; *c; c++)
        MUST((unsigned char)*c >= 0x20 && *c != 0x7f);
    const size_t length = settings_error_render(error, buffer, sizeof buffer);
    MUST(length > 1 && buffer[length - 1] == '\n' && buffer[length - 2] == '^');
}

static void check_rule(const struct rule *rule) {
    static struct rule again;
    struct parse_error error;
    MUST(rule_families(rule) != 0 && rule->parts != 0);
    MUST(rule->error >= 0 && rule->error <= RULE_ERRNO_MAX && rule->signal >= 0 && rule->signal <= RULE_SIGNAL_MAX);
    MUST(!rule_has(rule, PART_WHEN) || (rule->first > 0 && rule->last >= rule->first && rule->step > 0));
    MUST(!rule_has(rule, PART_ERROR) || rule->error > 0);
    MUST(rule->chance <= RULE_CERTAIN);
    MUST(rule->conditions.count <= CONDITIONS_MAX);
    MUST(rule_parse(rule->text, true, &again, &error));
    MUST(again.parts == rule->parts && again.families == rule->families);
    for (uint64_t count = 1; count < 9; count++) {
        rule_is_due(rule, count);
        rule_is_lucky(rule, 4711, count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rules rules;
    struct settings_error error = {.variable = "CLOSETRACE_INJECT"};
    char *text = string_of(data, size);
    const size_t first = strlen(text);
    file = first < size ? text + first + 1 : "";
    if (rules_read(text, size % 2, read_file, &rules, &error)) {
        MUST(rules.count <= RULES_MAX && !rules.texts[rules.count]);
        for (unsigned i = 0; i < rules.count; i++)
            check_rule(&rules.list[i]);
    } else
        check_error(&error);
    free(text);
    return 0;
}
