#include "settings.h"

#include <errno.h>
#include <string.h>

#include "complaint.h"
#include "line.h"

#define PREFIX "CLOSETRACE_"

enum { TRACE_DEFAULT = TRACE_OPEN | TRACE_REFS | TRACE_END | TRACE_EOF };

static bool equals_word(const char *text, size_t length, const char *word) {
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static bool output_read(const char *text, struct settings *settings, struct parse_error *error) {
    if (text[0] == '\0')
        return complain_plainly(
            error, 0, "a file name is missing: expected stderr, or a file (%p in its name becomes the process id)");
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] != '%')
            continue;
        if (text[i + 1] != 'p' && text[i + 1] != '%')
            return complain_plainly(
                error, i, "%p becomes the process id, %% becomes a percent sign; nothing else may follow a %");
        i++;
    }
    settings->output = strcmp(text, "stderr") == 0 ? NULL : text;
    return true;
}

static const char *format_word(unsigned i) {
    return i == FORMAT_TEXT ? "text" : "json";
}

static const char *verify_word(unsigned i) {
    return i == 0 ? "off" : "kernel";
}

/* Which of two words the text is; one that it could be only by mistake is an error. */
static bool choice_read(const char *text, const char *what, const char *(*words)(unsigned i), unsigned *choice,
                        struct parse_error *error) {
    for (*choice = 0; *choice < 2; ++*choice)
        if (strcmp(text, words(*choice)) == 0)
            return true;
    return complain_of_word(error, 0, what, text, strlen(text), words, 2);
}

static bool format_read(const char *text, struct settings *settings, struct parse_error *error) {
    unsigned choice;
    if (!choice_read(text, "unknown format", format_word, &choice, error))
        return false;
    settings->format = choice ? FORMAT_JSON : FORMAT_TEXT;
    return true;
}

static bool verify_read(const char *text, struct settings *settings, struct parse_error *error) {
    unsigned choice;
    if (!choice_read(text, "unknown way to verify", verify_word, &choice, error))
        return false;
    settings->verify = choice != 0;
    return true;
}

static const struct trace_word {
    const char *name;
    unsigned classes;
} trace_words[] = {
    {"open", TRACE_OPEN}, {"refs", TRACE_REFS}, {"end", TRACE_END},
    {"eof", TRACE_EOF},   {"data", TRACE_DATA}, {"all", TRACE_OPEN | TRACE_REFS | TRACE_END | TRACE_EOF | TRACE_DATA},
    {"none", 0},
};

enum { TRACE_WORDS = sizeof trace_words / sizeof *trace_words };

static const char *trace_word(unsigned i) {
    return trace_words[i].name;
}

static bool trace_class_read(const char *text, size_t offset, size_t length, unsigned *classes,
                             struct parse_error *error) {
    for (unsigned i = 0; i < TRACE_WORDS; i++) {
        if (equals_word(text + offset, length, trace_words[i].name)) {
            *classes = trace_words[i].classes;
            return true;
        }
    }
    return complain_of_word(error, offset, "unknown event class", text + offset, length, trace_word, TRACE_WORDS);
}

static bool trace_read(const char *text, struct settings *settings, struct parse_error *error) {
    const size_t whole = strlen(text);
    size_t at = 0;
    settings->trace = 0;
    for (;;) {
        unsigned classes = 0;
        const size_t length = strcspn(text + at, ",");
        if (!trace_class_read(text, at, length, &classes, error))
            return false;
        if (classes == 0 && length != whole)
            return complain_plainly(error, at, "none cannot be combined with other classes");
        settings->trace |= classes;
        at += length;
        if (text[at] == '\0')
            return true;
        at++;
    }
}

static bool only_read(const char *text, struct settings *settings, struct parse_error *error) {
    return conditions_parse(text, &settings->only, error);
}

static bool inject_read(const char *text, struct settings *settings, struct parse_error *error) {
    (void)error;
    settings->inject = text;
    return true;
}

static bool seed_read(const char *text, struct settings *settings, struct parse_error *error) {
    uint64_t seed = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9')
            return complain_plainly(error, i, "not a decimal digit; expected a number from 0 to 4294967295");
        seed = seed * 10 + (uint64_t)(text[i] - '0');
        if (seed > UINT32_MAX)
            return complain_plainly(error, 0, "the number is too large; expected 0 to 4294967295");
    }
    settings->seed = (uint32_t)seed;
    settings->seed_given = true;
    return true;
}

static bool session_read(const char *text, struct settings *settings, struct parse_error *error) {
    (void)error; /* the command's own words: what cannot be understood cannot be joined */
    settings->session = text;
    return true;
}

static const struct variable {
    const char *name;
    bool (*read)(const char *text, struct settings *settings, struct parse_error *error);
} variables[] = {
    {PREFIX "OUTPUT", output_read}, {PREFIX "FORMAT", format_read},   {PREFIX "TRACE", trace_read},
    {PREFIX "ONLY", only_read},     {PREFIX "INJECT", inject_read},   {PREFIX "SEED", seed_read},
    {PREFIX "VERIFY", verify_read}, {PREFIX "SESSION", session_read},
};

/* The last is not for users. */
enum { VARIABLES = sizeof variables / sizeof *variables, TOLD = VARIABLES - 1 };

const char *settings_name(unsigned i) {
    return i < TOLD ? variables[i].name : NULL;
}

const char *settings_class_name(unsigned i) {
    return i < TRACE_WORDS ? trace_words[i].name : NULL;
}

/* The prefix would make every name like every other. */
static const char *variable_suffix(unsigned i) {
    return variables[i].name + sizeof PREFIX - 1;
}

static bool unknown_variable(const char *entry, size_t name_length, struct settings_error *error) {
    struct line message;
    const size_t prefix = sizeof PREFIX - 1;
    const char *nearest = nearest_word(entry + prefix, name_length - prefix, variable_suffix, TOLD);
    error->variable = entry;
    error->text = entry;
    complain_about(&message, &error->parse, prefix, "there is no such setting");
    if (nearest) {
        line_text(&message, ", did you mean " PREFIX);
        line_text(&message, nearest);
        line_char(&message, '?');
        return complain(&message, &error->parse);
    }
    for (unsigned i = 0; i < TOLD; i++) {
        line_text(&message, i == 0 ? ": " : i + 1 == TOLD ? " or " : ", ");
        line_text(&message, variables[i].name);
    }
    return complain(&message, &error->parse);
}

/* Of several entries of one name getenv() finds the first; so do we. */
static bool variable_read(unsigned i, const char *text, unsigned *seen, struct settings *settings,
                          struct settings_error *error) {
    if (*seen & 1U << i)
        return true;
    *seen |= 1U << i;
    if (text[0] == '\0' && variables[i].read != output_read)
        return true;
    error->variable = variables[i].name;
    error->text = text;
    return variables[i].read(text, settings, &error->parse);
}

static bool entry_read(const char *entry, unsigned *seen, struct settings *settings, struct settings_error *error) {
    const size_t name_length = strcspn(entry, "=");
    if (strncmp(entry, PREFIX, sizeof PREFIX - 1) != 0 || entry[name_length] == '\0')
        return true;
    for (unsigned i = 0; i < VARIABLES; i++)
        if (equals_word(entry, name_length, variables[i].name))
            return variable_read(i, entry + name_length + 1, seen, settings, error);
    return unknown_variable(entry, name_length, error);
}

bool settings_read(const char *const *environment, struct settings *settings, struct settings_error *error) {
    unsigned seen = 0;
    error->place = NULL;
    memset(settings, 0, sizeof *settings);
    settings->format = FORMAT_TEXT;
    settings->trace = TRACE_DEFAULT;
    settings->verify = true;
    for (; environment && *environment; environment++)
        if (!entry_read(*environment, &seen, settings, error))
            return false;
    return true;
}

unsigned event_classes(const struct event *event) {
    const unsigned end = event->fin != FIN_UNSET ? TRACE_END : 0;
    switch (event->op) {
    case OP_CONNECT:
    case OP_ACCEPT:
    case OP_BIND:
        return TRACE_OPEN | end;
    case OP_DUP:
    case OP_FORK:
    case OP_EXEC:
    case OP_SEND_FD:
    case OP_RECV_FD:
        return TRACE_REFS | end;
    case OP_CLOSE:
    case OP_SHUTDOWN:
    case OP_RELEASE:
    case OP_EXIT:
    case OP_STATE:
        return TRACE_END;
    case OP_EOF:
    case OP_RESET:
        return TRACE_EOF | end;
    case OP_READ:
    case OP_WRITE:
        if ((event->has & HAS_ERRNO) && event->error != EAGAIN && event->error != EINTR)
            return TRACE_DATA | TRACE_EOF | end;
        return TRACE_DATA | end;
    default:
        return 0;
    }
}

size_t settings_output_path(const char *output, int pid, char *buffer, size_t size) {
    struct line path;
    if (size == 0)
        return 0;
    line_init(&path, buffer, size - 1);
    for (size_t i = 0; output[i] != '\0'; i++) {
        if (output[i] == '%' && output[i + 1] == 'p') {
            line_signed(&path, pid);
            i++;
        } else {
            line_char(&path, output[i]);
            if (output[i] == '%' && output[i + 1] == '%')
                i++;
        }
    }
    buffer[path.length] = '\0';
    return path.cut ? 0 : path.length;
}
