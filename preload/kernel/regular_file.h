/*
 * A file that the user has named, read at once. Whatever else stands there (a FIFO, a terminal, a device) could hold
 * the program up, or be used up by being looked at: it is not opened. Async-signal-safe.
 */
#ifndef CLOSETRACE_REGULAR_FILE_H
#define CLOSETRACE_REGULAR_FILE_H

#include <stddef.h>

/* The first `size` bytes at most: how many there are, or -errno; -ENXIO: it is no regular file, -EISDIR: a directory.
 */
long regular_file_read(const char *path, char *buffer, size_t size);

#endif
