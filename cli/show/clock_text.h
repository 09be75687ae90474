/* Times for eyes, as closetrace print shows them: local, to the microsecond. */
#ifndef CLOSETRACE_CLOCK_TEXT_H
#define CLOSETRACE_CLOCK_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* "20:11:00.071234" */
enum { CLOCK_TEXT_SIZE = 16 };
void clock_text(uint64_t time_us, char text[CLOCK_TEXT_SIZE]);

/*
 * A sentence of evidence has times in seconds since the Epoch, "at 1795810260.071234", which machines can compare: this
 * copies it with the time of day in their place. What does not fit is cut off.
 */
void clock_sentence(const char *sentence, char *into, size_t size);

#endif
