#include "reader/hash.h"

#include <string.h>

static uint64_t secret[2] = {0x9E3779B97F4A7C15ULL, 0xC2B2AE3D27D4EB4FULL};

void hash_choose_secret(const unsigned char random[16]) {
    memcpy(secret, random, sizeof secret);
    secret[1] |= 1;
}

/* Both halves of the product: each bit of it depends on many of theirs. */
static uint64_t multiply(uint64_t a, uint64_t b) {
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_number(uint64_t number) {
    return multiply(multiply(number ^ secret[0], secret[1]) + number, secret[0] | 1);
}

uint64_t hash_pair(uint64_t one, uint64_t other) {
    return hash_number(hash_number(one) + other);
}

uint64_t hash_address(const struct address *address) {
    uint64_t parts[2];
    memcpy(parts, address->ip, sizeof parts);
    return hash_pair(hash_pair(parts[0], parts[1]), address->port);
}

uint64_t hash_text(uint64_t before, const char *text) {
    for (uint64_t part = 0; *text; part = 0) {
        size_t length = strnlen(text, sizeof part);
        memcpy(&part, text, length);
        before = hash_pair(before, part);
        text += length;
    }
    return hash_pair(before, 0);
}
