/*
 * An event of a socket on its way from the library to the command, which makes a line of it: as it stands in memory,
 * the strings behind it. So the program that is watched pays for a copy, and the command for the words. Both are of one
 * version (session.h); but the memory in between is the program's too, so event_unpack() believes nothing.
 *
 * Pure. Async-signal-safe.
 */
#ifndef CLOSETRACE_PACK_H
#define CLOSETRACE_PACK_H

#include "event.h"

/*
 * Returns the length, or 0: it is none of a socket (start, rule, end, finding), or does not fit into size bytes; then
 * it goes as a line of JSON, from which is_packed() tells it.
 */
size_t event_pack(const struct event *event, char *packed, size_t size);

static inline bool is_packed(const char *bytes, size_t length) {
    return length > 0 && bytes[0] != '{';
}

/* *event is what was packed; its strings lie in the bytes. False: that is nothing that event_pack() makes. */
bool event_unpack(const char *bytes, size_t length, struct event *event);

#endif
