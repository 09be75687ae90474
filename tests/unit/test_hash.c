#include "reader/hash.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

enum { PLACES = 1024, KEYS = 8 * PLACES };

/* How many of the keys stand at the fullest of the places, by the low bits, as tables have it. */
static unsigned fullest(uint64_t (*key)(unsigned i)) {
    unsigned counts[PLACES] = {0}, most = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned *count = &counts[key(i) % PLACES];
        most = ++*count > most ? *count : most;
    }
    return most;
}

static uint64_t ascending(unsigned i) {
    return hash_number(i);
}

static uint64_t only_high_bits(unsigned i) {
    return hash_number((uint64_t)i << 50);
}

static uint64_t pairs(unsigned i) {
    return hash_pair(i % 64, i / 64);
}

static uint64_t texts(unsigned i) {
    char text[16];
    snprintf(text, sizeof text, "worker-%u", i);
    return hash_text(0, text);
}

static uint64_t addresses(unsigned i) {
    struct address address = {.family = ADDRESS_V4, .port = (uint16_t)(1024 + i)};
    return hash_address(&address);
}

static void spread(void) {
    uint64_t (*const keys[])(unsigned) = {ascending, only_high_bits, pairs, texts, addresses};
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        CHECK(fullest(keys[i]) < 40); /* 8 on average */
}

static void tell_apart(void) {
    struct address one = {.family = ADDRESS_V4, .port = 1}, other = one;
    other.scope_id = 7;
    CHECK(hash_address(&one) == hash_address(&other));
    other.port = 2;
    CHECK(hash_address(&one) != hash_address(&other));
    CHECK(hash_pair(1, 2) != hash_pair(2, 1));
    CHECK(hash_text(hash_text(0, "ab"), "c") != hash_text(hash_text(0, "a"), "bc"));
    CHECK(hash_text(0, "exactly8") != hash_text(0, "exactly8+"));
    CHECK(hash_text(0, "") == hash_text(0, ""));
}

/* Who knows another run's places does not know these. */
static void are_secret(void) {
    const uint64_t before = hash_number(4711);
    hash_choose_secret((const unsigned char *)"sixteen random..");
    CHECK(hash_number(4711) != before);
    spread();
    tell_apart();
}

int main(void) {
    spread();
    tell_apart();
    are_secret();
    return unit_failures();
}
