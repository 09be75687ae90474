/*
 * An IPv4 or IPv6 address and a port. A v4-mapped IPv6 address (::ffff:127.0.0.1) is kept as the IPv4 address
 * that it stands for. Nothing here allocates, locks, or touches errno.
 */
#ifndef CLOSETRACE_ADDRESS_H
#define CLOSETRACE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_family { ADDRESS_UNSET = 0, ADDRESS_V4 = 4, ADDRESS_V6 = 6 };

struct address {
    uint8_t family;    /* enum address_family */
    uint8_t ip[16];    /* network byte order; the first 4 bytes for IPv4 */
    uint16_t port;     /* host byte order */
    uint32_t scope_id; /* of a link-local IPv6 address: the interface's index */
};

struct sockaddr;

/* From what getsockname() and its like return; false (and family ADDRESS_UNSET) if it is neither IPv4 nor IPv6. */
bool address_from_sockaddr(struct address *address, const struct sockaddr *sockaddr, size_t length);

/* Of one that somebody else has written: it has a family that there is. */
bool address_is_sound(const struct address *address);

bool address_equal(const struct address *a, const struct address *b);

/* The all-zeros address with port 0, or none at all: the end of a socket that is not connected. */
bool address_is_unspecified(const struct address *address);

/* "127.0.0.1:80", "[::1]:80". Writes at most ADDRESS_TEXT_SIZE bytes with the final NUL; returns the length. */
enum { ADDRESS_TEXT_SIZE = 64 };
size_t address_to_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/*
 * Reads an address without a port ("10.0.0.1", "::1", "[::1]") and an optional "/prefix length" from the
 * length bytes at text. Without a prefix the whole address counts. Returns false if they are not that.
 */
bool address_prefix_parse(const char *text, size_t length, struct address *address, unsigned *prefix_bits);

/* Whether the first prefix_bits bits of both addresses agree (and the families do). Ports do not count. */
bool address_in_prefix(const struct address *address, const struct address *prefix, unsigned prefix_bits);

#endif
