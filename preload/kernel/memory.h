/* Memory from the kernel: there is no malloc here. Async-signal-safe. */
#ifndef CLOSETRACE_MEMORY_H
#define CLOSETRACE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed; shared: with the children that are forked from now on. NULL where there is none. */
void *memory_map(size_t size, bool shared);
void memory_unmap(void *memory, size_t size);

#endif
