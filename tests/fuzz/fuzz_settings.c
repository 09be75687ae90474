/*
 * Any environment, its entries separated by newlines: read, or refused with an error that can be shown.
 */
#include "pure/settings.h"

#include "fuzz.h"

enum { ENTRIES_MAX = 16 };

static void check_error(const struct settings_error *error) {
    char buffer[1024];
    MUST(error->parse.offset <= strlen(error->text));
    MUST(memchr(error->parse.message, '\0', sizeof error->parse.message));
    for (const char *c = error->parse.message; *c; c++)
        MUST((unsigned char)*c >= 0x20 && *c != 0x7f);
    const size_t length = settings_error_render(error, buffer, sizeof buffer);
    MUST(length > 0 && length <= sizeof buffer && buffer[length - 1] == '\n' && buffer[length - 2] == '^');
    for (size_t size = 0; size < length; size += 7)
        MUST(settings_error_render(error, buffer, size) <= size);
}

static void check_settings(const struct settings *settings) {
    char path[256];
    if (settings->output)
        MUST(settings_output_path(settings->output, 4711, path, sizeof path) < sizeof path);
    MUST(settings->only.count <= CONDITIONS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *environment[ENTRIES_MAX + 1] = {NULL};
    struct settings settings;
    struct settings_error error;
    char *text = string_of(data, size);
    char *rest = text;
    for (unsigned i = 0; i < ENTRIES_MAX && rest; i++)
        environment[i] = strsep(&rest, "\n");
    if (settings_read(environment, &settings, &error))
        check_settings(&settings);
    else
        check_error(&error);
    free(text);
    return 0;
}
