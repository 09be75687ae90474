#include "address.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "line.h"

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static void set_v4(struct address *address, const void *ip) {
    address->family = ADDRESS_V4;
    memcpy(address->ip, ip, 4);
}

static void set_v6(struct address *address, const uint8_t ip[16]) {
    if (memcmp(ip, v4_mapped, sizeof v4_mapped) == 0) {
        set_v4(address, ip + sizeof v4_mapped);
        return;
    }
    address->family = ADDRESS_V6;
    memcpy(address->ip, ip, 16);
}

static bool is_link_local(const struct address *address) {
    return address->family == ADDRESS_V6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

static bool from_in(struct address *address, const struct sockaddr *sockaddr, size_t length) {
    struct sockaddr_in in;
    if (length < sizeof in)
        return false;
    memcpy(&in, sockaddr, sizeof in);
    set_v4(address, &in.sin_addr);
    address->port = ntohs(in.sin_port);
    return true;
}

/* Early kernels' form, which ends before the scope, is still accepted by Linux, and so here. */
static bool from_in6(struct address *address, const struct sockaddr *sockaddr, size_t length) {
    struct sockaddr_in6 in6 = {.sin6_scope_id = 0};
    if (length < offsetof(struct sockaddr_in6, sin6_scope_id))
        return false;
    memcpy(&in6, sockaddr, length < sizeof in6 ? offsetof(struct sockaddr_in6, sin6_scope_id) : sizeof in6);
    set_v6(address, in6.sin6_addr.s6_addr);
    address->port = ntohs(in6.sin6_port);
    if (is_link_local(address))
        address->scope_id = in6.sin6_scope_id;
    return true;
}

bool address_from_sockaddr(struct address *address, const struct sockaddr *sockaddr, size_t length) {
    sa_family_t family;
    memset(address, 0, sizeof *address);
    if (length < offsetof(struct sockaddr, sa_family) + sizeof family)
        return false;
    memcpy(&family, (const char *)sockaddr + offsetof(struct sockaddr, sa_family), sizeof family);
    if (family == AF_INET)
        return from_in(address, sockaddr, length);
    if (family == AF_INET6)
        return from_in6(address, sockaddr, length);
    return false;
}

bool address_is_sound(const struct address *address) {
    return address->family == ADDRESS_UNSET || address->family == ADDRESS_V4 || address->family == ADDRESS_V6;
}

bool address_equal(const struct address *a, const struct address *b) {
    if (a->family != b->family)
        return false;
    return a->family == ADDRESS_UNSET || (a->port == b->port && a->scope_id == b->scope_id &&
                                          memcmp(a->ip, b->ip, a->family == ADDRESS_V4 ? 4 : 16) == 0);
}

bool address_is_unspecified(const struct address *address) {
    static const uint8_t zeros[16];
    if (address->family == ADDRESS_UNSET)
        return true;
    return address->port == 0 && memcmp(address->ip, zeros, address->family == ADDRESS_V4 ? 4 : 16) == 0;
}

static void v4_to_line(struct line *line, const uint8_t ip[4]) {
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            line_char(line, '.');
        line_unsigned(line, ip[i]);
    }
}

static unsigned group_at(const uint8_t ip[16], unsigned i) {
    return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

/* RFC 5952: "::" stands for the longest run of zero groups, the first of equals, never for a single one. */
static unsigned longest_zeros(const uint8_t ip[16], unsigned *first) {
    unsigned best = 1;
    unsigned run = 0;
    *first = 8;
    for (unsigned i = 0; i < 8; i++) {
        run = group_at(ip, i) == 0 ? run + 1 : 0;
        if (run > best) {
            best = run;
            *first = i + 1 - run;
        }
    }
    return best;
}

static void v6_to_line(struct line *line, const uint8_t ip[16]) {
    unsigned first;
    const unsigned zeros = longest_zeros(ip, &first);
    for (unsigned i = 0; i < 8; i++) {
        if (i == first) {
            line_text(line, "::");
            i += zeros - 1;
            continue;
        }
        if (i > 0 && i != first + zeros)
            line_char(line, ':');
        line_hex(line, group_at(ip, i));
    }
}

size_t address_to_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]) {
    struct line line;
    line_init(&line, text, ADDRESS_TEXT_SIZE - 1);
    if (address->family == ADDRESS_V4)
        v4_to_line(&line, address->ip);
    if (address->family == ADDRESS_V6) {
        line_char(&line, '[');
        v6_to_line(&line, address->ip);
        if (address->scope_id != 0) {
            line_char(&line, '%');
            line_unsigned(&line, address->scope_id);
        }
        line_char(&line, ']');
    }
    if (address->family != ADDRESS_UNSET) {
        line_char(&line, ':');
        line_unsigned(&line, address->port);
    }
    text[line.length] = '\0';
    return line.length;
}

/* Up to three digits without a leading zero; returns how many, 0 if there is no such number. */
static size_t small_decimal(const char *text, size_t length, unsigned max, unsigned *number) {
    size_t used = 0;
    *number = 0;
    while (used < length && used < 3 && text[used] >= '0' && text[used] <= '9')
        *number = *number * 10 + (unsigned)(text[used++] - '0');
    if (*number > max || (used > 1 && text[0] == '0'))
        return 0;
    return used;
}

static bool v4_parse(const char *text, size_t length, uint8_t ip[4]) {
    size_t at = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned number;
        if (i > 0 && (at == length || text[at++] != '.'))
            return false;
        const size_t used = small_decimal(text + at, length - at, 255, &number);
        if (used == 0)
            return false;
        ip[i] = (uint8_t)number;
        at += used;
    }
    return at == length;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Up to four hex digits; returns how many. */
static size_t group_parse(const char *text, size_t length, uint8_t group[2]) {
    unsigned number = 0;
    size_t used = 0;
    while (used < length && used < 4 && hex_digit(text[used]) >= 0)
        number = number << 4 | (unsigned)hex_digit(text[used++]);
    group[0] = (uint8_t)(number >> 8);
    group[1] = (uint8_t)number;
    return used;
}

/* Groups separated by ':' that fill at most room bytes, an IPv4 address in the last four. Returns the bytes, or -1. */
static int groups_parse(const char *text, size_t length, uint8_t *bytes, int room) {
    int filled = 0;
    size_t at = 0;
    while (at < length) {
        if (filled > 0 && text[at++] != ':')
            return -1;
        if (filled + 4 <= room && v4_parse(text + at, length - at, bytes + filled))
            return filled + 4;
        if (filled + 2 > room)
            return -1;
        const size_t used = group_parse(text + at, length - at, bytes + filled);
        if (used == 0)
            return -1;
        at += used;
        filled += 2;
    }
    return filled;
}

static size_t find_double_colon(const char *text, size_t length) {
    size_t at = 0;
    while (at + 1 < length && !(text[at] == ':' && text[at + 1] == ':'))
        at++;
    return at + 1 < length ? at : length;
}

static bool v6_parse(const char *text, size_t length, uint8_t ip[16]) {
    uint8_t tail[16];
    const size_t gap = find_double_colon(text, length);
    memset(ip, 0, 16);
    if (gap == length)
        return groups_parse(text, length, ip, 16) == 16;
    const int head_bytes = groups_parse(text, gap, ip, 14);
    if (head_bytes < 0 || memchr(text, '.', gap)) /* an IPv4 address stands at the end only */
        return false;
    const int tail_bytes = groups_parse(text + gap + 2, length - gap - 2, tail, 14 - head_bytes);
    if (tail_bytes < 0)
        return false;
    memcpy(ip + 16 - tail_bytes, tail, (size_t)tail_bytes);
    return true;
}

/* A v4-mapped prefix becomes the IPv4 one; *bits counts from the start of what was written until then. */
static bool set_parsed_v6(struct address *address, const uint8_t ip[16], unsigned *bits) {
    set_v6(address, ip);
    if (address->family == ADDRESS_V6)
        return true;
    if (*bits < 96)
        return false;
    *bits -= 96;
    return true;
}

bool address_prefix_parse(const char *text, size_t length, struct address *address, unsigned *prefix_bits) {
    const char *slash = length > 0 ? memchr(text, '/', length) : NULL;
    size_t host = slash ? (size_t)(slash - text) : length;
    uint8_t ip[16];
    memset(address, 0, sizeof *address);
    const bool v4 = v4_parse(text, host, ip);
    *prefix_bits = v4 ? 32 : 128;
    if (slash) {
        const size_t digits = length - host - 1;
        if (digits == 0 || small_decimal(slash + 1, digits, *prefix_bits, prefix_bits) != digits)
            return false;
    }
    if (v4) {
        set_v4(address, ip);
        return true;
    }
    if (host >= 2 && text[0] == '[' && text[host - 1] == ']') {
        text++;
        host -= 2;
    }
    return v6_parse(text, host, ip) && set_parsed_v6(address, ip, prefix_bits);
}

bool address_in_prefix(const struct address *address, const struct address *prefix, unsigned prefix_bits) {
    const unsigned bytes = prefix_bits / 8;
    const unsigned rest = prefix_bits % 8;
    const unsigned width = prefix->family == ADDRESS_V4 ? 32 : 128;
    if (address->family != prefix->family || address->family == ADDRESS_UNSET || prefix_bits > width)
        return false;
    if (memcmp(address->ip, prefix->ip, bytes) != 0)
        return false;
    return rest == 0 || ((address->ip[bytes] ^ prefix->ip[bytes]) >> (8 - rest)) == 0;
}
