#include "rule.h"

#include <string.h>

bool rule_names(const struct rule *rule, enum rule_family family, const char *call) {
    if (rule->families & family)
        return true;
    for (unsigned i = 0; call && i < rule->name_count; i++)
        if (rule->names[i]->family == family && strcmp(rule->names[i]->name, call) == 0)
            return true;
    return false;
}

unsigned rule_families(const struct rule *rule) {
    unsigned families = rule->families;
    for (unsigned i = 0; i < rule->name_count; i++)
        families |= rule->names[i]->family;
    return families;
}

bool rule_is_due(const struct rule *rule, uint64_t count) {
    if (!rule_has(rule, PART_WHEN))
        return true;
    return count >= rule->first && count <= rule->last && (count - rule->first) % rule->step == 0;
}

/* splitmix64's finalizer: every bit of the input moves every bit of the result. */
static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    return x ^ x >> 31;
}

static uint64_t hash_of(const char *text) {
    uint64_t hash = 0xCBF29CE484222325U; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3U;
    return hash;
}

bool rule_is_lucky(const struct rule *rule, uint32_t seed, uint64_t count) {
    if (!rule_has(rule, PART_PROB))
        return true;
    const uint64_t drawn = mix(mix(mix(hash_of(rule->text) ^ seed) ^ rule->scope) ^ count);
    return drawn >> 32 < rule->chance;
}
