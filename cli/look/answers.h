/* What inet_diag says of one socket, in an answer to a dump or of its own accord. */
#ifndef CLOSETRACE_ANSWERS_H
#define CLOSETRACE_ANSWERS_H

#include <linux/netlink.h>

#include "world.h"

/* It is long enough to be about a socket. */
bool is_of_socket(const struct nlmsghdr *header);
void sighting_read(struct sighting *sighting, const struct nlmsghdr *header);

#endif
