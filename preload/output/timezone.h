/*
 * The local time's offset, read once from the system's zone file: libc's localtime() takes locks and allocates.
 */
#ifndef CLOSETRACE_TIMEZONE_H
#define CLOSETRACE_TIMEZONE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Seconds east of Greenwich at that time. zone: TZ's value, or NULL for /etc/localtime. 0 where that says nothing
 * that is understood (a rule such as CET-1CEST is not).
 */
int32_t timezone_offset(const char *zone, uint64_t seconds_since_epoch);

/* It names something that is no regular file: libc would open it, and wait at a FIFO. */
bool timezone_could_hang(const char *zone);

#endif
