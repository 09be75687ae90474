#include "markup.h"

#include <stdbool.h>
#include <string.h>

#include "pure/utf8.h"

/* What turns the direction of writing would let a name show as another. */
static bool turns_direction(uint32_t code) {
    return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

void markup_print(FILE *out, const char *text) {
    const size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        const size_t size = utf8_next(text + at, length - at, &code);
        if (code == UTF8_INVALID || utf8_is_control(code) || code == 0xFFFE || code == 0xFFFF || turns_direction(code))
            fputs(UTF8_REPLACEMENT, out);
        else if (code < 0x80 && strchr("<>&\"'", (int)code))
            fprintf(out, "&#%u;", (unsigned)code);
        else
            fwrite(text + at, 1, size, out);
        at += size;
    }
}
