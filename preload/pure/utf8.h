/*
 * UTF-8, taken apart. Pure: no locale, errno untouched.
 */
#ifndef CLOSETRACE_UTF8_H
#define CLOSETRACE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_INVALID     UINT32_MAX
#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * The code point at text (length > 0 bytes are there), or UTF8_INVALID. Returns how many bytes it takes; of an
 * invalid sequence as many as one U+FFFD stands for (Unicode: the maximal subpart).
 */
size_t utf8_next(const char *text, size_t length, uint32_t *code);

/* Whether a terminal obeys it rather than shows it: C0, DEL, C1. */
bool utf8_is_control(uint32_t code);

#endif
