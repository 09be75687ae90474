/* addr2line, asked for many addresses of one file at once. */
#ifndef CLOSETRACE_ADDR2LINE_H
#define CLOSETRACE_ADDR2LINE_H

#include <stddef.h>
#include <stdint.h>

enum { ADDRESSES_MAX = 256 };

/*
 * What it says of the addresses (at most ADDRESSES_MAX) in that file, two lines each: the function, the place. Returns
 * the length of the text, NUL-terminated; 0: it is not there, or did not answer in time.
 */
size_t addr2line_ask(int fd, const uint64_t *addresses, unsigned count, char *text, size_t size);

#endif
