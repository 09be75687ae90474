#include "choice.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_status.h"
#include "pure/render.h"
#include "reader/match.h"
#include "show/report_words.h"
#include "terminal/say.h"

struct ignore {
    char *text, *parts; /* as it was given; and cut into conditions, which the matches point into */
    int kind;           /* -1: any */
    struct match matches[CONDITIONS_MAX];
    unsigned count;
    uint64_t matched;
    struct ignore *next;
};

struct choice {
    unsigned only; /* a bit a kind; 0: all */
    struct ignore *ignores, **end;
};

static void *needed(void *memory) {
    if (!memory) {
        say("closetrace: out of memory");
        exit(EXIT_FAILED);
    }
    return memory;
}

struct choice *choice_new(void) {
    struct choice *choice = needed(calloc(1, sizeof *choice));
    choice->end = &choice->ignores;
    return choice;
}

static int kind_of(const char *name, size_t length) {
    for (int i = 0; i < FINDING_COUNT; i++) {
        const char *known = finding_name((enum finding_kind)i);
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return i;
    }
    return -1;
}

static bool unknown(const char *option, const char *name, size_t length) {
    say("closetrace report: %s: no finding is called %.*s (closetrace report --help lists them)", option, (int)length,
        name);
    return false;
}

bool choice_only(struct choice *choice, const char *text) {
    for (;;) {
        const size_t length = strcspn(text, ",");
        const int kind = kind_of(text, length);
        if (kind < 0)
            return unknown("--only", text, length);
        choice->only |= 1U << kind;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

/* Where the next condition begins: a colon before KEY= or KEY!=; colons stand in addresses as well. */
static char *next_condition(char *text) {
    for (char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
        const char *at = colon + 1;
        while (islower((unsigned char)*at) || *at == '_')
            at++;
        if (at > colon + 1 && (*at == '=' || (at[0] == '!' && at[1] == '=')))
            return colon;
    }
    return NULL;
}

static bool read_conditions(struct ignore *ignore, char *at) {
    struct parse_error error;
    while (at) {
        char *const next = next_condition(at + 1);
        if (next)
            *next = '\0';
        if (ignore->count == CONDITIONS_MAX) {
            say("closetrace report: --ignore=%s: at most %d conditions", ignore->text, CONDITIONS_MAX);
            return false;
        }
        if (!match_parse(at + 1, &ignore->matches[ignore->count++], &error)) {
            say("closetrace report: --ignore=%s: %s", ignore->text, error.message);
            return false;
        }
        at = next;
    }
    return true;
}

static bool add_ignore(struct choice *choice, const char *text) {
    struct ignore *ignore = needed(calloc(1, sizeof *ignore));
    *choice->end = ignore;
    choice->end = &ignore->next;
    ignore->text = needed(strdup(text));
    ignore->parts = needed(strdup(text));
    char *const conditions = next_condition(ignore->parts);
    const size_t length = conditions ? (size_t)(conditions - ignore->parts) : strlen(ignore->parts);
    ignore->kind = length == 1 && text[0] == '*' ? -1 : kind_of(text, length);
    if (ignore->kind < 0 && text[0] != '*')
        return unknown("--ignore", text, length);
    if (conditions)
        *conditions = '\0';
    return read_conditions(ignore, conditions);
}

/* Spaces around it and what stands behind a # are not of it. */
static char *trimmed(char *line) {
    line[strcspn(line, "#\r\n")] = '\0';
    line += strspn(line, " \t");
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        line[--length] = '\0';
    return line;
}

static bool read_file(struct choice *choice, const char *name) {
    struct stat status;
    char *line = NULL;
    size_t size = 0;
    bool good = true;
    const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? fdopen(fd, "r") : NULL;
    if (!file) {
        say("closetrace report: --ignore=@%s: %s", name, fd < 0 ? strerror(errno) : "not a regular file");
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (good && getline(&line, &size, file) >= 0) {
        const char *text = trimmed(line);
        good = !*text || add_ignore(choice, text);
    }
    free(line);
    fclose(file);
    return good;
}

bool choice_ignore(struct choice *choice, const char *text) {
    return text[0] == '@' ? read_file(choice, text + 1) : add_ignore(choice, text);
}

static bool is_ignored(struct ignore *ignore, const struct finding *finding) {
    static char text[RENDER_LINE_MAX];
    struct finding_lists lists;
    struct event event;
    if (ignore->kind >= 0 && ignore->kind != (int)finding->kind)
        return false;
    finding_event(finding, &event, &lists);
    const size_t length = render_json(&event, text, sizeof text);
    const struct json_text line = {text, length > 0 ? length - 1 : 0};
    return matches_hold(ignore->matches, ignore->count, &event, &line);
}

static bool is_wanted(const struct finding *finding, void *context) {
    struct choice *choice = context;
    if (choice->only && !(choice->only & 1U << finding->kind))
        return false;
    for (struct ignore *ignore = choice->ignores; ignore; ignore = ignore->next)
        if (is_ignored(ignore, finding)) {
            ignore->matched++;
            return false;
        }
    return true;
}

void choice_apply(struct choice *choice, struct analysis *analysis) {
    if (!choice->only && !choice->ignores)
        return;
    analysis_keep(analysis, is_wanted, choice);
    for (const struct ignore *ignore = choice->ignores; ignore; ignore = ignore->next)
        if (ignore->matched == 0)
            say("closetrace report: --ignore=%s matched nothing", ignore->text);
}

void choice_free(struct choice *choice) {
    while (choice->ignores) {
        struct ignore *next = choice->ignores->next;
        free(choice->ignores->text);
        free(choice->ignores->parts);
        free(choice->ignores);
        choice->ignores = next;
    }
    free(choice);
}
