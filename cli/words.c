/*
 * closetrace --list: the words of the interface. Completion offers them, and tests/manual.bats holds the manual against
 * them; so a word is written in the code alone.
 */
#include <stdio.h>
#include <string.h>

#include "analysis/analysis.h"
#include "command.h"
#include "show/output.h"
#include "pure/names.h"
#include "pure/rule.h"
#include "pure/settings.h"
#include "reader/match.h"
#include "reader/parse.h"
#include "run/run_options.h"
#include "terminal/say.h"

static const char *subcommand_at(unsigned i) {
    return subcommands[i].name;
}

static const char *condition_at(unsigned i) {
    return condition_key_name((enum condition_key)i);
}

static const char *function_at(unsigned i) {
    const struct rule_call *call = rule_call_at(i);
    return call ? call->name : NULL;
}

static const char *part_at(unsigned i) {
    return rule_part_name((enum rule_part)i);
}

static const char *way_at(unsigned i) {
    return rule_way_name((enum rule_way)(i + 1));
}

static const char *scope_at(unsigned i) {
    return rule_scope_name((enum rule_scope)i);
}

static const char *finding_at(unsigned i) {
    return i < FINDING_COUNT ? finding_name((enum finding_kind)i) : NULL;
}

static const char *print_option(unsigned i) {
    return print_options[i];
}

static const char *now_option(unsigned i) {
    return now_options[i];
}

static const char *report_option(unsigned i) {
    return report_options[i];
}

static const char *grep_option(unsigned i) {
    return grep_options[i];
}

static void show_families(unsigned families) {
    for (unsigned i = 0; rule_family_name(i); i++)
        if (families & 1U << i)
            printf(" %s", rule_family_name(i));
    putchar('\n');
}

/* "error close shutdown ...", "as=HOLD close exit", "then=RST connect ..." */
static void show_matrix(void) {
    for (unsigned i = 0; part_at(i); i++) {
        if (i == PART_AS || i == PART_THEN)
            continue;
        fputs(part_at(i), stdout);
        show_families(rule_part_families((enum rule_part)i));
    }
    for (unsigned i = 0; way_at(i); i++) {
        printf("as=%s", way_at(i));
        show_families(rule_way_families((enum rule_way)(i + 1)));
    }
    for (unsigned i = 0; way_at(i); i++) {
        if (!rule_way_comes_after((enum rule_way)(i + 1)))
            continue;
        printf("then=%s", way_at(i));
        show_families(rule_part_families(PART_THEN));
    }
}

static void show_pairs(void) {
    const enum rule_part *pair;
    for (unsigned i = 0; (pair = rule_pair(i)); i++)
        printf("%s %s\n", rule_part_name(pair[0]), rule_part_name(pair[1]));
}

static const struct list {
    const char *name;
    const char *(*word)(unsigned i); /* NULL beyond the last */
    void (*show)(void);              /* of lists that are tables */
} lists[] = {
    {"subcommands", subcommand_at, NULL},
    {"run-options", run_option, NULL},
    {"expressions", run_expression, NULL},
    {"now-options", now_option, NULL},
    {"print-options", print_option, NULL},
    {"report-options", report_option, NULL},
    {"grep-options", grep_option, NULL},
    {"settings", settings_name, NULL},
    {"classes", settings_class_name, NULL},
    {"keys", match_key, NULL},
    {"conditions", condition_at, NULL},
    {"calls", rule_family_name, NULL},
    {"functions", function_at, NULL},
    {"parts", part_at, NULL},
    {"ways", way_at, NULL},
    {"scopes", scope_at, NULL},
    {"matrix", NULL, show_matrix},
    {"exclusions", NULL, show_pairs},
    {"findings", finding_at, NULL},
    {"formats", report_format_name, NULL},
};

enum { LISTS = sizeof lists / sizeof *lists };

static const char *list_name(unsigned i) {
    return i < LISTS ? lists[i].name : NULL;
}

static void show(const char *(*word)(unsigned i)) {
    for (unsigned i = 0; word(i); i++)
        puts(word(i));
}

/* The words that a key's value may be. False: it takes any. */
static bool show_values(const char *key) {
    unsigned i = 0;
    const char *word;
    if (strcmp(key, condition_key_name(KEY_STATE)) == 0)
        key = "state_before";
    while ((word = event_key_word(key, strlen(key), i))) {
        puts(word);
        i++;
    }
    return i > 0;
}

int list_words(const char *name) {
    bool found = false;
    for (unsigned i = 0; name && i < LISTS; i++) {
        if (strcmp(lists[i].name, name) != 0)
            continue;
        found = true;
        if (lists[i].show)
            lists[i].show();
        else
            show(lists[i].word);
    }
    if (!name)
        show(list_name);
    else if (!found && !show_values(name)) {
        say("closetrace --list: there is no list \"%s\"; closetrace --list shows their names", name);
        return EXIT_FAILED;
    }
    return output_flush() ? EXIT_OK : EXIT_FAILED;
}
