#include "callers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "addr2line.h"
#include "module_file.h"

enum { CALLERS_MAX = 1024, MODULES_MAX = 32, SECONDS_IN_ALL = 5, ANSWER_SIZE = 1 << 17, SOURCE_SIZE = 256 };

struct caller {
    char *text; /* "nginx+0x3a1b" */
    size_t module_length;
    uint64_t offset, time_us; /* time_us: the earliest finding with it */
    char *source;
    bool asked;
};

static struct {
    struct caller list[CALLERS_MAX];
    unsigned count;
} callers;

void callers_learn(const struct event *event) {
    if (event->op == OP_START && event->command && event->command[0])
        module_file_learn(event->command[0]);
}

static struct caller *find(const char *text) {
    for (unsigned i = 0; i < callers.count; i++)
        if (strcmp(callers.list[i].text, text) == 0)
            return &callers.list[i];
    return NULL;
}

/* A return address: the call is before it. */
static void add(const char *text, uint64_t time_us) {
    const char *plus = strrchr(text, '+');
    struct caller *known = find(text);
    if (known && time_us < known->time_us)
        known->time_us = time_us;
    if (known || !plus || plus == text || callers.count == CALLERS_MAX)
        return;
    struct caller *caller = &callers.list[callers.count];
    *caller = (struct caller){.text = strdup(text), .module_length = (size_t)(plus - text), .time_us = time_us};
    caller->offset = strtoull(plus + 1, NULL, 16);
    callers.count += caller->text && caller->offset > 0;
}

static bool is_of(const struct caller *caller, const struct caller *other) {
    return caller->module_length == other->module_length &&
           memcmp(caller->text, other->text, caller->module_length) == 0;
}

/* "/src/server.c:120 (discriminator 3)", "server.c:120:7": up to the line's number. False: it is not known. */
static bool cut_place(char *place) {
    char *colon = strchr(place, ':');
    const size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (digits == 0 || colon == place || place[0] == '?' || colon[1] == '0')
        return false;
    colon[1 + digits] = '\0';
    return true;
}

static char *source_of(const char *function, char *place, bool has_symbols) {
    char text[SOURCE_SIZE];
    const bool has_function = *function && *function != '?', has_place = cut_place(place);
    if (has_place && has_function)
        snprintf(text, sizeof text, "%.160s at %.80s", function, place);
    else if (has_place)
        snprintf(text, sizeof text, "%.80s", place);
    else if (has_function && has_symbols)
        snprintf(text, sizeof text, "%.160s", function);
    else
        return NULL;
    return strdup(text);
}

static char *next_line(char **at) {
    char *line = *at;
    char *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

static void take_answer(char *answer, struct caller *const *asked, unsigned count, bool has_symbols) {
    for (unsigned i = 0; i < count; i++) {
        const char *function = next_line(&answer);
        char *place = function ? next_line(&answer) : NULL;
        if (!place)
            return;
        asked[i]->source = source_of(function, place, has_symbols);
    }
}

/* All callers in one module, by one process; the file must be older than the earliest of them. */
static void ask_module(struct caller *first) {
    static char answer[ANSWER_SIZE];
    struct caller *asked[ADDRESSES_MAX];
    uint64_t addresses[ADDRESSES_MAX], earliest = first->time_us;
    unsigned count = 0;
    bool has_symbols;
    char module[CALLER_MODULE_SIZE + 1];
    for (struct caller *caller = first; caller < callers.list + callers.count && count < ADDRESSES_MAX; caller++)
        if (is_of(caller, first)) {
            earliest = caller->time_us < earliest ? caller->time_us : earliest;
            caller->asked = true;
            addresses[count] = caller->offset - 1;
            asked[count++] = caller;
        }
    snprintf(module, sizeof module, "%.*s", (int)first->module_length, first->text);
    const int fd = module_file_open(module, earliest, &has_symbols);
    if (fd < 0)
        return;
    if (addr2line_ask(fd, addresses, count, answer, sizeof answer) > 0)
        take_answer(answer, asked, count, has_symbols);
    close(fd);
}

void callers_find(const struct analysis *analysis) {
    const time_t end = time(NULL) + SECONDS_IN_ALL;
    unsigned modules = 0;
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next)
        if (finding->caller[0])
            add(finding->caller, finding->time_us);
    for (unsigned i = 0; i < callers.count; i++)
        if (!callers.list[i].asked && modules++ < MODULES_MAX && time(NULL) <= end)
            ask_module(&callers.list[i]);
}

const char *caller_source(const char *caller) {
    const struct caller *known = *caller ? find(caller) : NULL;
    return known ? known->source : NULL;
}

void caller_sentence(const char *sentence, const char *caller, char *into, size_t size) {
    const char *source = caller_source(caller);
    const size_t length = strlen(sentence), tail = strlen(caller);
    if (source && length > tail && strcmp(sentence + length - tail, caller) == 0)
        snprintf(into, size, "%.*s%s (%s)", (int)(length - tail), sentence, source, caller);
    else
        snprintf(into, size, "%s", sentence);
}

void callers_forget(void) {
    for (unsigned i = 0; i < callers.count; i++) {
        free(callers.list[i].text);
        free(callers.list[i].source);
    }
    callers.count = 0;
}
