#include "utf8.h"

static unsigned sequence_length(uint8_t lead) {
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 4;
    return 0;
}

/* The second byte is where overlong forms, surrogates and what is beyond U+10FFFF show. */
static bool second_fits(uint8_t lead, uint8_t second) {
    switch (lead) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second <= 0x9f;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second <= 0x8f;
    default:
        return true;
    }
}

static bool continues(const uint8_t *bytes, size_t position) {
    if ((bytes[position] & 0xc0) != 0x80)
        return false;
    return position > 1 || second_fits(bytes[0], bytes[1]);
}

size_t utf8_next(const char *text, size_t length, uint32_t *code) {
    const uint8_t *bytes = (const uint8_t *)text;
    const unsigned expected = sequence_length(bytes[0]);
    *code = UTF8_INVALID;
    if (expected == 0)
        return 1;
    uint32_t value = expected == 1 ? bytes[0] : bytes[0] & (0x7fU >> expected);
    size_t used = 1;
    while (used < expected && used < length && continues(bytes, used)) {
        value = value << 6 | (bytes[used] & 0x3fU);
        used++;
    }
    if (used == expected)
        *code = value;
    return used;
}

bool utf8_is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}
