/*
 * All rules of a session: CLOSETRACE_INJECT's text (contract, section 6), separated by ';', or @FILE, one a line. The
 * library and the command read them by this. Pure, save for what the reader of files does.
 */
#ifndef CLOSETRACE_RULES_H
#define CLOSETRACE_RULES_H

#include "rule.h"
#include "settings.h"

enum { RULES_MAX = 64, RULES_TEXT = 65536, RULES_PLACE = 256 };

/* Large: static, not on a stack. */
struct rules {
    unsigned count;
    struct rule list[RULES_MAX];
    const char *texts[RULES_MAX + 1]; /* NULL at its end */
    size_t used;
    char text[RULES_TEXT];
    char place[RULES_PLACE]; /* for an error: "FILE:LINE" */
};

/* Reads the file to its end into buffer; its length, size where it is longer, or -errno. */
typedef long rules_file_reader(const char *path, char *buffer, size_t size);

/*
 * text: the setting's, NULL or empty: there are none. False: *error says why (its variable is the caller's to name),
 * and the rules are not to be used. outlives: see rule_parse().
 */
bool rules_read(const char *text, bool outlives, rules_file_reader *read_file, struct rules *rules,
                struct settings_error *error);

/* Of all rules: rule_families(). */
unsigned rules_families(const struct rules *rules);

#endif
