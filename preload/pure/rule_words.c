/* The words of the rules' language. */
#include "rule.h"

#include <stddef.h>

const char *rule_family_name(unsigned i) {
    static const char *const names[] = {"close",  "shutdown", "write", "read", "connect",
                                        "accept", "exit",     "fork",  "dup"};
    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

const char *rule_part_name(enum rule_part part) {
    static const char *const names[PART_COUNT] = {
        [PART_ERROR] = "error",
        [PART_RETVAL] = "retval",
        [PART_SIGNAL] = "signal",
        [PART_DELAY_ENTER] = "delay_enter",
        [PART_DELAY_EXIT] = "delay_exit",
        [PART_WHEN] = "when",
        [PART_SCOPE] = "scope",
        [PART_PROB] = "prob",
        [PART_AS] = "as",
        [PART_THEN] = "then",
        [PART_HOLD] = "hold",
        [PART_SHORT] = "short",
        [PART_LINGER] = "linger",
        [PART_LINGER2] = "linger2",
    };
    return (size_t)part < PART_COUNT ? names[part] : NULL;
}

const char *rule_way_name(enum rule_way way) {
    static const char *const names[WAY_COUNT] = {
        [WAY_SHUT_RD] = "SHUT_RD", [WAY_SHUT_WR] = "SHUT_WR", [WAY_SHUT_RDWR] = "SHUT_RDWR", [WAY_CLOSE] = "CLOSE",
        [WAY_RST] = "RST",         [WAY_HOLD] = "HOLD",       [WAY_NONE] = "NONE",
    };
    return (size_t)way < WAY_COUNT ? names[way] : NULL;
}

const char *rule_scope_name(enum rule_scope scope) {
    static const char *const names[SCOPE_COUNT] = {
        [SCOPE_PROCESS] = "process",
        [SCOPE_THREAD] = "thread",
        [SCOPE_CONNECTION] = "connection",
        [SCOPE_SESSION] = "session",
    };
    return (size_t)scope < SCOPE_COUNT ? names[scope] : NULL;
}
