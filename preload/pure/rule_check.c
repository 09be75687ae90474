#include <string.h>

#include "complaint.h"
#include "rule.h"

/* What goes together (contract, section 6; docs/faults.md shows it as a table). */

#define BIT(part) (1U << (part))

enum {
    DATA = RULE_WRITE | RULE_READ,
    ANY = RULE_CLOSE | RULE_SHUTDOWN | DATA | RULE_CONNECT | RULE_ACCEPT | RULE_EXIT | RULE_FORK | RULE_DUP,
    /* What makes a rule a fault. */
    ACTIONS = BIT(PART_ERROR) | BIT(PART_RETVAL) | BIT(PART_SIGNAL) | BIT(PART_DELAY_ENTER) | BIT(PART_DELAY_EXIT) |
              BIT(PART_AS) | BIT(PART_THEN) | BIT(PART_SHORT) | BIT(PART_LINGER) | BIT(PART_LINGER2),
};

static const unsigned families_of[PART_COUNT] = {
    [PART_ERROR] = ANY & ~RULE_EXIT,
    [PART_RETVAL] = ANY & ~(RULE_EXIT | RULE_FORK),
    [PART_SIGNAL] = ANY,
    [PART_DELAY_ENTER] = ANY,
    [PART_DELAY_EXIT] = ANY & ~RULE_EXIT,
    [PART_WHEN] = ANY,
    [PART_SCOPE] = ANY,
    [PART_PROB] = ANY,
    [PART_AS] = RULE_CLOSE | RULE_SHUTDOWN | RULE_EXIT,
    [PART_THEN] = RULE_SHUTDOWN | DATA | RULE_CONNECT | RULE_ACCEPT,
    [PART_HOLD] = RULE_CLOSE | RULE_EXIT,
    [PART_SHORT] = DATA,
    [PART_LINGER] = RULE_CLOSE,
    [PART_LINGER2] = RULE_CLOSE,
};

static const unsigned families_of_way[WAY_COUNT] = {
    [WAY_SHUT_RD] = RULE_CLOSE | RULE_SHUTDOWN | RULE_EXIT,
    [WAY_SHUT_WR] = RULE_CLOSE | RULE_SHUTDOWN | RULE_EXIT,
    [WAY_SHUT_RDWR] = RULE_CLOSE | RULE_SHUTDOWN | RULE_EXIT,
    [WAY_CLOSE] = RULE_SHUTDOWN,
    [WAY_RST] = RULE_CLOSE | RULE_SHUTDOWN | RULE_EXIT,
    [WAY_HOLD] = RULE_CLOSE | RULE_EXIT,
    [WAY_NONE] = RULE_CLOSE | RULE_SHUTDOWN,
};

/* "close, shutdown and exit" */
static void list_families(struct line *message, unsigned families) {
    const char *comma = "";
    for (unsigned i = 0; rule_family_name(i); i++) {
        if (!(families & 1U << i))
            continue;
        families &= ~(1U << i);
        line_text(message, *comma && !families ? " and " : comma);
        line_text(message, rule_family_name(i));
        comma = ", ";
    }
}

/* PART= [WAY] does not go with CALL, only with ... */
static bool does_not_go(unsigned with, unsigned goes, const char *part, const char *value, size_t offset,
                        struct parse_error *error) {
    struct line message;
    unsigned odd = with & ~goes;
    complain_about(&message, error, offset, part);
    line_char(&message, '=');
    line_text(&message, value);
    line_text(&message, " does not go with ");
    list_families(&message, odd & -odd);
    line_text(&message, "; it goes with ");
    list_families(&message, goes);
    return complain(&message, error);
}

static bool check_families(const struct rule *rule, const size_t offsets[PART_COUNT], struct parse_error *error) {
    const unsigned families = rule_families(rule);
    for (unsigned part = 0; part < PART_COUNT; part++)
        if (rule_has(rule, (enum rule_part)part) && (families & ~families_of[part]))
            return does_not_go(families, families_of[part], rule_part_name((enum rule_part)part), "", offsets[part],
                               error);
    if (rule_has(rule, PART_AS) && (families & ~families_of_way[rule->as]))
        return does_not_go(families, families_of_way[rule->as], "as", rule_way_name(rule->as), offsets[PART_AS], error);
    return true;
}

/* Of two parts that exclude each other the second is to blame. */
static bool check_pair(const struct rule *rule, enum rule_part a, enum rule_part b, const size_t offsets[PART_COUNT],
                       struct parse_error *error) {
    struct line message;
    if (!rule_has(rule, a) || !rule_has(rule, b))
        return true;
    const bool swapped = offsets[a] > offsets[b];
    complain_about(&message, error, offsets[swapped ? a : b], rule_part_name(swapped ? a : b));
    line_text(&message, "= and ");
    line_text(&message, rule_part_name(swapped ? b : a));
    line_text(&message, "= exclude each other; use two rules");
    return complain(&message, error);
}

static const enum rule_part pairs[][2] = {
    {PART_ERROR, PART_RETVAL},   {PART_ERROR, PART_THEN},   {PART_ERROR, PART_SHORT},   {PART_RETVAL, PART_AS},
    {PART_RETVAL, PART_THEN},    {PART_RETVAL, PART_SHORT}, {PART_RETVAL, PART_LINGER}, {PART_AS, PART_THEN},
    {PART_RETVAL, PART_LINGER2}, {PART_AS, PART_LINGER},    {PART_AS, PART_LINGER2},
};

enum { PAIRS = sizeof pairs / sizeof *pairs };

static bool check_pairs(const struct rule *rule, const size_t offsets[PART_COUNT], struct parse_error *error) {
    for (size_t i = 0; i < PAIRS; i++)
        if (!check_pair(rule, pairs[i][0], pairs[i][1], offsets, error))
            return false;
    return true;
}

static bool comes_after(enum rule_way way) {
    return way == WAY_SHUT_WR || way == WAY_SHUT_RDWR || way == WAY_RST;
}

static bool keeps_connection(enum rule_way way) {
    return way == WAY_HOLD || way == WAY_SHUT_RD || way == WAY_SHUT_WR || way == WAY_SHUT_RDWR;
}

static bool check_ways(const struct rule *rule, bool outlives, const size_t offsets[PART_COUNT],
                       struct parse_error *error) {
    const unsigned families = rule_families(rule);
    if (rule->then && !comes_after(rule->then))
        return complain_plainly(error, offsets[PART_THEN], "then= is SHUT_WR, SHUT_RDWR or RST");
    if (rule_has(rule, PART_HOLD) && !keeps_connection(rule->as))
        return complain_plainly(error, offsets[PART_HOLD], "hold= needs as=HOLD, or as=SHUT_WR, SHUT_RD or SHUT_RDWR");
    if (rule_has(rule, PART_HOLD) && (families & RULE_EXIT) && rule->as != WAY_HOLD)
        return complain_plainly(error, offsets[PART_HOLD], "with exit, hold= needs as=HOLD");
    if (rule->as == WAY_HOLD && (families & RULE_EXIT) && !outlives)
        return complain_plainly(
            error, offsets[PART_AS],
            "a process cannot hold a connection beyond its own end; exit:as=HOLD works under closetrace run");
    if (rule_has(rule, PART_ERROR) && rule->as && (rule->as != WAY_NONE || (families & ~RULE_CLOSE)))
        return complain_plainly(error, offsets[PART_AS],
                                "error= goes with as= only in close:error=ERRNO:as=NONE, which keeps the descriptor");
    return true;
}

/* Which facts there are to hold against a condition: a fork has no socket. */
static bool check_conditions(const struct rule *rule, struct parse_error *error) {
    const bool forks = rule_families(rule) & RULE_FORK;
    for (unsigned i = 0; forks && i < rule->conditions.count; i++) {
        const enum condition_key key = rule->conditions.list[i].key;
        if (key != KEY_COMM && key != KEY_CALL && key != KEY_CALLER)
            return complain_plainly(error, strlen(rule->text),
                                    "a fork does not concern a single socket: expected comm=, call= or caller=");
    }
    return true;
}

bool rule_check(const struct rule *rule, bool outlives, const size_t offsets[PART_COUNT], struct parse_error *error) {
    if (!(rule->parts & ACTIONS))
        return complain_plainly(
            error, strlen(rule->text),
            "the rule does nothing: expected error=, retval=, signal=, delay_enter=, delay_exit=, as=, then=, "
            "short=, linger= or linger2=");
    return check_families(rule, offsets, error) && check_pairs(rule, offsets, error) &&
           check_ways(rule, outlives, offsets, error) && check_conditions(rule, error);
}

unsigned rule_part_families(enum rule_part part) {
    return (size_t)part < PART_COUNT ? families_of[part] : 0;
}

unsigned rule_way_families(enum rule_way way) {
    return (size_t)way < WAY_COUNT ? families_of_way[way] : 0;
}

bool rule_way_comes_after(enum rule_way way) {
    return comes_after(way);
}

const enum rule_part *rule_pair(unsigned i) {
    return i < PAIRS ? pairs[i] : NULL;
}
