#include "pure/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

#include "unit.h"

static struct address from_v4(const char *ip, uint16_t port) {
    struct address address;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    CHECK(inet_pton(AF_INET, ip, &in.sin_addr) == 1);
    CHECK(address_from_sockaddr(&address, (const struct sockaddr *)&in, sizeof in));
    return address;
}

static struct address from_v6(const char *ip, uint16_t port, uint32_t scope) {
    struct address address;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope};
    CHECK(inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1);
    CHECK(address_from_sockaddr(&address, (const struct sockaddr *)&in6, sizeof in6));
    return address;
}

#define CHECK_ADDRESS(given, expected)                       \
    do {                                                     \
        const struct address shown = (given);                \
        char text[ADDRESS_TEXT_SIZE];                        \
        const size_t length = address_to_text(&shown, text); \
        CHECK_TEXT(text, expected);                          \
        CHECK_NUMBER(length, strlen(expected));              \
    } while (0)

static void as_text(void) {
    CHECK_ADDRESS(from_v4("127.0.0.1", 80), "127.0.0.1:80");
    CHECK_ADDRESS(from_v4("255.255.255.255", 65535), "255.255.255.255:65535");
    CHECK_ADDRESS(from_v4("0.0.0.0", 0), "0.0.0.0:0");
    CHECK_ADDRESS(from_v6("::1", 80, 0), "[::1]:80");
    CHECK_ADDRESS(from_v6("::", 0, 0), "[::]:0");
    CHECK_ADDRESS(from_v6("1::", 1, 0), "[1::]:1");
    CHECK_ADDRESS(from_v6("2001:db8:0:0:1:0:0:1", 1, 0), "[2001:db8::1:0:0:1]:1");
    CHECK_ADDRESS(from_v6("2001:db8:0:1:1:1:1:1", 1, 0), "[2001:db8:0:1:1:1:1:1]:1");
    CHECK_ADDRESS(from_v6("1:0:0:2:0:0:0:3", 1, 0), "[1:0:0:2::3]:1");
    CHECK_ADDRESS(from_v6("0:0:1:2:3:4:5:6", 1, 0), "[::1:2:3:4:5:6]:1");
    CHECK_ADDRESS(from_v6("1:2:3:4:5:6:0:0", 1, 0), "[1:2:3:4:5:6::]:1");
    CHECK_ADDRESS(from_v6("fe80::ABCD", 1, 2), "[fe80::abcd%2]:1");
    CHECK_ADDRESS(from_v6("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, UINT32_MAX),
                  "[febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    CHECK_ADDRESS(((struct address){.family = ADDRESS_UNSET}), "");
}

static void v4_mapped_is_v4(void) {
    const struct address mapped = from_v6("::ffff:127.0.0.1", 80, 0);
    const struct address plain = from_v4("127.0.0.1", 80);
    CHECK_ADDRESS(mapped, "127.0.0.1:80");
    CHECK_NUMBER(mapped.family, ADDRESS_V4);
    CHECK(address_equal(&mapped, &plain));
    CHECK_NUMBER(from_v6("::fffe:127.0.0.1", 80, 0).family, ADDRESS_V6);
    CHECK_NUMBER(from_v6("::127.0.0.1", 80, 0).family, ADDRESS_V6);
}

static void scope_counts_where_it_is_link_local(void) {
    const struct address one = from_v6("fe80::1", 80, 1);
    const struct address two = from_v6("fe80::1", 80, 2);
    const struct address global = from_v6("2001:db8::1", 80, 2);
    CHECK(!address_equal(&one, &two));
    CHECK_NUMBER(global.scope_id, 0);
}

static void too_short_or_of_another_family(void) {
    struct address address = {.family = ADDRESS_V4};
    const struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr_in in = {.sin_family = AF_INET};
    const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 7};
    CHECK(!address_from_sockaddr(&address, (const struct sockaddr *)&un, sizeof un));
    CHECK_NUMBER(address.family, ADDRESS_UNSET);
    CHECK(!address_from_sockaddr(&address, (const struct sockaddr *)&in, 0));
    CHECK(!address_from_sockaddr(&address, (const struct sockaddr *)&in, 1));
    CHECK(!address_from_sockaddr(&address, (const struct sockaddr *)&in, sizeof in - 1));
    CHECK(address_from_sockaddr(&address, (const struct sockaddr *)&in, sizeof in + 99));
    CHECK(!address_from_sockaddr(&address, (const struct sockaddr *)&in6, 23));
    CHECK(address_from_sockaddr(&address, (const struct sockaddr *)&in6, 24));
    CHECK_NUMBER(address.family, ADDRESS_V6);
}

static void equality(void) {
    const struct address a = from_v4("127.0.0.1", 80);
    const struct address port = from_v4("127.0.0.1", 81);
    const struct address ip = from_v4("127.0.0.2", 80);
    const struct address v6 = from_v6("::1", 80, 0);
    struct address stale = a;
    const struct address unset = {.family = ADDRESS_UNSET};
    stale.ip[9] = 1; /* behind an IPv4 address nothing counts */
    CHECK(address_equal(&a, &stale));
    CHECK(!address_equal(&a, &port));
    CHECK(!address_equal(&a, &ip));
    CHECK(!address_equal(&a, &v6));
    CHECK(!address_equal(&a, &unset));
    CHECK(address_equal(&unset, &unset));
}

static void unspecified(void) {
    const struct address unset = {.family = ADDRESS_UNSET, .port = 1};
    const struct address any = from_v4("0.0.0.0", 0);
    const struct address any6 = from_v6("::", 0, 0);
    const struct address listener = from_v4("0.0.0.0", 80);
    const struct address local = from_v6("::1", 0, 0);
    CHECK(address_is_unspecified(&unset));
    CHECK(address_is_unspecified(&any));
    CHECK(address_is_unspecified(&any6));
    CHECK(!address_is_unspecified(&listener));
    CHECK(!address_is_unspecified(&local));
}

static bool parses(const char *text, const char *as, unsigned bits) {
    struct address address;
    unsigned prefix_bits;
    char shown[ADDRESS_TEXT_SIZE];
    if (!address_prefix_parse(text, strlen(text), &address, &prefix_bits))
        return false;
    address_to_text(&address, shown);
    CHECK_TEXT(shown, as);
    CHECK_NUMBER(prefix_bits, bits);
    return true;
}

static void prefixes(void) {
    CHECK(parses("10.0.0.1", "10.0.0.1:0", 32));
    CHECK(parses("10.0.0.0/8", "10.0.0.0:0", 8));
    CHECK(parses("0.0.0.0/0", "0.0.0.0:0", 0));
    CHECK(parses("255.255.255.255/32", "255.255.255.255:0", 32));
    CHECK(parses("::1", "[::1]:0", 128));
    CHECK(parses("[::1]", "[::1]:0", 128));
    CHECK(parses("[2001:DB8::]/32", "[2001:db8::]:0", 32));
    CHECK(parses("::/0", "[::]:0", 0));
    CHECK(parses("1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:0", 128));
    CHECK(parses("1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:0", 128));
    CHECK(parses("::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]:0", 128));
    CHECK(parses("64:ff9b::1.2.3.4", "[64:ff9b::102:304]:0", 128));
    CHECK(parses("1:2:3:4:5:6:1.2.3.4", "[1:2:3:4:5:6:102:304]:0", 128));
    CHECK(parses("::ffff:10.0.0.1", "10.0.0.1:0", 32));
    CHECK(parses("[::ffff:10.0.0.0]/104", "10.0.0.0:0", 8));
    const char *const wrong[] = {
        "",
        "10",
        "10.0.0",
        "10.0.0.",
        "10.0.0.1.",
        "10.0.0.256",
        "10.0.0.01",
        "a.b.c.d",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/8x",
        "10.0.0.1/-1",
        "10.0.0.1/08",
        "10.0.0.1:80",
        ":",
        ":::",
        "1:",
        ":1",
        "1:2:3:4:5:6:7",
        "::1::",
        "1:2:3:4:5:6:7:8:9",
        "::12345",
        "::g",
        "[::1",
        "::1]",
        "[::1]:80",
        "[]",
        "[10.0.0.1]",
        "::1/129",
        "::1/9999",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::ffff:10.0.0.1/95",
        "fe80::1%eth0",
        "1:2:3:4:5:6:7:8::",
        " 10.0.0.1",
        "10.0.0.1 ",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parses(wrong[i], "", 0))
            FAILED("was taken for an address: %s", wrong[i]);
}

/* What inet_pton() takes and what we take is the same, and means the same. */
static void agrees_with_libc(void) {
    const char letters[] = "0123:::..f";
    unsigned seed = 1;
    for (int round = 0; round < 200000; round++) {
        char text[16];
        uint8_t ip[16];
        struct address address;
        unsigned bits;
        const size_t length = (seed >> 16) % 12 + 1;
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] = letters[(seed >> 16) % (sizeof letters - 1)];
        }
        text[length] = '\0';
        const bool libc_v4 = inet_pton(AF_INET, text, ip) == 1;
        const bool libc_v6 = !libc_v4 && inet_pton(AF_INET6, text, ip) == 1;
        const bool ours = address_prefix_parse(text, length, &address, &bits);
        if (ours != (libc_v4 || libc_v6))
            FAILED("%s: we say %d, libc %d %d", text, ours, libc_v4, libc_v6);
        if (ours && address.family == (libc_v4 ? ADDRESS_V4 : ADDRESS_V6))
            CHECK(memcmp(address.ip, ip, libc_v4 ? 4 : 16) == 0);
    }
}

static bool within(struct address address, const char *prefix) {
    struct address parsed;
    unsigned bits;
    CHECK(address_prefix_parse(prefix, strlen(prefix), &parsed, &bits));
    return address_in_prefix(&address, &parsed, bits);
}

static void matching(void) {
    CHECK(within(from_v4("10.1.2.3", 80), "10.0.0.0/8"));
    CHECK(within(from_v4("10.1.2.3", 80), "10.9.9.9/8"));
    CHECK(!within(from_v4("11.1.2.3", 80), "10.0.0.0/8"));
    CHECK(within(from_v4("10.1.2.3", 80), "10.1.2.3"));
    CHECK(!within(from_v4("10.1.2.2", 80), "10.1.2.3"));
    CHECK(within(from_v4("10.1.2.2", 80), "10.1.2.3/31"));
    CHECK(within(from_v4("10.127.255.255", 80), "10.0.0.0/9"));
    CHECK(!within(from_v4("10.128.0.0", 80), "10.0.0.0/9"));
    CHECK(within(from_v4("1.2.3.4", 80), "0.0.0.0/0"));
    CHECK(!within(from_v6("::1", 80, 0), "0.0.0.0/0"));
    CHECK(!within(from_v4("1.2.3.4", 80), "::/0"));
    CHECK(!within((struct address){.family = ADDRESS_UNSET}, "::/0"));
    CHECK(within(from_v6("2001:db8:7fff::1", 80, 0), "2001:db8::/33"));
    CHECK(!within(from_v6("2001:db8:8000::1", 80, 0), "2001:db8::/33"));
    CHECK(within(from_v6("fe80::1", 80, 5), "fe80::1"));
    CHECK(within(from_v6("::ffff:10.1.1.1", 80, 0), "10.0.0.0/8"));
    CHECK(within(from_v4("10.1.1.1", 80), "::ffff:10.0.0.0/104"));
    const struct address v4 = from_v4("0.0.0.0", 0);
    CHECK(!address_in_prefix(&v4, &v4, 33));
}

int main(void) {
    errno = 4711;
    as_text();
    v4_mapped_is_v4();
    scope_counts_where_it_is_link_local();
    too_short_or_of_another_family();
    equality();
    unspecified();
    prefixes();
    agrees_with_libc();
    matching();
    CHECK_NUMBER(errno, 4711);
    return unit_failures();
}
