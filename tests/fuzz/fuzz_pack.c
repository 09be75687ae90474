/*
 * What a program may have left in the ring: any bytes are no event, or one that can be made lines of.
 */
#include "pure/pack.h"
#include "pure/render.h"

#include "fuzz.h"
#include "../unit/json_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char line[RENDER_LINE_MAX], again[RENDER_LINE_MAX];
    const struct text_style style = {.color = true};
    struct event event;
    char *bytes = string_of(data, size);
    if (event_unpack(bytes, size, &event)) {
        size_t length = render_json(&event, line, sizeof line);
        MUST(is_json_line(line, length));
        MUST(render_text(&event, &style, again, sizeof again) > 0);
        char *packed = malloc(size);
        MUST(packed && event_pack(&event, packed, size) <= size);
        free(packed);
    }
    free(bytes);
    return 0;
}
