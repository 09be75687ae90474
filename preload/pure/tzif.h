/* A time zone's offset from the contents of a TZif file (RFC 9636). Pure. */
#ifndef CLOSETRACE_TZIF_H
#define CLOSETRACE_TZIF_H

#include <stdint.h>

/* Seconds east of Greenwich at that time; 0 if the file is not understood. */
int32_t tzif_offset(const unsigned char *file, uint64_t length, int64_t seconds_since_epoch);

#endif
