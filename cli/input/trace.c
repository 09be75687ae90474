#define _GNU_SOURCE
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "terminal/say.h"

enum {
    LINE_MAX_SIZE = 1 << 16,
    BUFFER_SIZE = 1 << 18, /* holds a line of the largest size, and much more in one read */
    TOLD_MAX = 5,          /* so much of what is wrong is told, the rest is counted */
    STRANGE_MAX = 100,     /* so many lines that are none, before the first that is one: it is no trace */
    WAIT_MS = 100,
};

struct trace {
    const char *name;
    int fd;
    bool regular, in_long_line, failed, hushed;
    size_t start, end; /* of what is in the buffer and not yet taken */
    uint64_t line_number, events, wrong;
    struct event_wrong kept[TOLD_MAX]; /* while no event has been seen: it may be no trace at all */
    uint64_t kept_line[TOLD_MAX];
    bool looks_like_text;
    struct event_store store;
    char buffer[BUFFER_SIZE];
};

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) {
        say("closetrace: out of memory");
        exit(125);
    }
    return memory;
}

struct trace *trace_open(const char *name) {
    const bool standard_input = strcmp(name, "-") == 0;
    struct stat status;
    int fd = standard_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        close(fd);
        fd = -1;
        errno = EISDIR;
    }
    if (fd < 0) {
        say("closetrace: %s: %s", name, strerror(errno));
        return NULL;
    }
    struct trace *trace = allocate(sizeof *trace);
    trace->regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    trace->name = standard_input ? "standard input" : name;
    trace->fd = fd;
    trace->store.size = EVENT_STORE_SIZE(LINE_MAX_SIZE);
    trace->store.memory = allocate(trace->store.size);
    return trace;
}

void trace_hush(struct trace *trace) {
    trace->hushed = true;
}

bool trace_is_regular(const struct trace *trace) {
    return trace->regular;
}

void trace_position(const struct trace *trace, uint64_t *done, uint64_t *total) {
    struct stat status;
    const off_t at = trace->regular ? lseek(trace->fd, 0, SEEK_CUR) : -1;
    *total = at >= 0 && fstat(trace->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    *done = *total > 0 ? (uint64_t)at : 0;
}

/* The command has locked it as long as it lives (cli/run/drain.c). */
bool trace_goes_on(const struct trace *trace) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return trace->regular && fcntl(trace->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool trace_wait(const struct trace *trace) {
    if (!trace->regular)
        return false;
    usleep(WAIT_MS * 1000);
    return true;
}

static bool fail(struct trace *trace) {
    trace->failed = true;
    return false;
}

static void notice_truncation(struct trace *trace) {
    struct stat status;
    const off_t at = lseek(trace->fd, 0, SEEK_CUR);
    if (at < 0 || fstat(trace->fd, &status) != 0 || status.st_size >= at)
        return;
    say("closetrace: %s: the file has become shorter; reading it from the beginning", trace->name);
    lseek(trace->fd, 0, SEEK_SET);
    trace->start = trace->end = 0;
    trace->line_number = 0;
    trace->in_long_line = false;
}

/* Reads more behind what is there. False at the end, for now or for good. */
static bool fill(struct trace *trace, bool follow) {
    ssize_t count;
    if (follow)
        notice_truncation(trace);
    memmove(trace->buffer, trace->buffer + trace->start, trace->end - trace->start);
    trace->end -= trace->start;
    trace->start = 0;
    do
        count = read(trace->fd, trace->buffer + trace->end, sizeof trace->buffer - trace->end);
    while (count < 0 && errno == EINTR);
    if (count < 0) {
        say("closetrace: %s: %s", trace->name, strerror(errno));
        return fail(trace);
    }
    trace->end += (size_t)count;
    return count > 0;
}

static void tell(struct trace *trace, uint64_t line, const struct event_wrong *wrong) {
    if (trace->hushed)
        return;
    say("closetrace: %s:%llu: %s, at character %zu", trace->name, (unsigned long long)line, wrong->message,
        wrong->offset + 1);
}

/* Before the first event it is kept back: perhaps this is no trace at all. */
static void complain_of(struct trace *trace, const struct event_wrong *wrong) {
    if (trace->wrong++ >= TOLD_MAX)
        return;
    trace->kept[trace->wrong - 1] = *wrong;
    trace->kept_line[trace->wrong - 1] = trace->line_number;
    if (trace->events > 0)
        tell(trace, trace->line_number, wrong);
}

static bool is_time_of_day(const char *text, size_t length) {
    static const char pattern[] = "00:00:00.000000 ";
    if (length < sizeof pattern - 1)
        return false;
    for (size_t i = 0; i < sizeof pattern - 1; i++)
        if (pattern[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i])
            return false;
    return true;
}

static void say_no_trace(struct trace *trace) {
    if (trace->hushed)
        return;
    if (trace->looks_like_text)
        say("closetrace: %s: text lines; only JSON lines can be read (CLOSETRACE_FORMAT=json writes them)",
            trace->name);
    else
        say("closetrace: %s: not a trace (JSON lines, as CLOSETRACE_FORMAT=json writes them); line %llu: %s",
            trace->name, (unsigned long long)trace->kept_line[0], trace->kept[0].message);
}

/* The buffer's next line, without its newline. False: there is none, yet or at all. */
static bool next_line(struct trace *trace, bool follow, struct json_text *line) {
    static const struct event_wrong too_long = {.message = "a line too long to be an event"};
    for (;;) {
        char *const start = trace->buffer + trace->start;
        const size_t length = trace->end - trace->start;
        const char *newline = length > 0 ? memchr(start, '\n', length) : NULL;
        if (!newline && length <= LINE_MAX_SIZE && fill(trace, follow))
            continue;
        if (trace->failed || (!newline && (length == 0 || (follow && length <= LINE_MAX_SIZE))))
            return false;
        *line = (struct json_text){trace->buffer + trace->start, newline ? (size_t)(newline - start) : length};
        trace->start += line->length + (newline != NULL);
        const bool was_long = trace->in_long_line;
        trace->in_long_line = !newline && length > LINE_MAX_SIZE;
        trace->line_number += !was_long;
        if (was_long)
            continue;
        if (line->length <= LINE_MAX_SIZE)
            return true;
        complain_of(trace, &too_long);
    }
}

/* Where the next event seems to begin, inside a line whose first is damaged. */
static struct json_text next_beginning(const struct json_text *line) {
    static const char beginning[] = "{\"time\":";
    const char *const end = line->start + line->length;
    const char *found =
        line->length > 1 ? memmem(line->start + 1, line->length - 1, beginning, sizeof beginning - 1) : NULL;
    return (struct json_text){found, found ? (size_t)(end - found) : 0};
}

static bool is_blank(const struct json_text *line) {
    for (size_t i = 0; i < line->length; i++)
        if (line->start[i] != ' ' && line->start[i] != '\t' && line->start[i] != '\r')
            return false;
    return true;
}

/* The first event of the line, or of what is left of it, that can be read. */
static bool parse_line(struct trace *trace, struct json_text *line, struct event *event) {
    struct event_wrong wrong;
    trace->looks_like_text |= trace->events == 0 && is_time_of_day(line->start, line->length);
    for (; line->length > 0; *line = next_beginning(line)) {
        if (event_parse(line->start, line->length, event, &trace->store, &wrong))
            return true;
        if (wrong.newer) {
            tell(trace, trace->line_number, &wrong);
            return fail(trace);
        }
        complain_of(trace, &wrong);
    }
    return false;
}

static void first_event(struct trace *trace) {
    if (trace->events++ > 0)
        return;
    for (uint64_t i = 0; i < trace->wrong && i < TOLD_MAX; i++)
        tell(trace, trace->kept_line[i], &trace->kept[i]);
}

enum trace_result trace_next(struct trace *trace, bool follow, struct event *event, struct json_text *line) {
    follow = follow && trace->regular;
    while (!trace->failed && next_line(trace, follow, line)) {
        if (is_blank(line))
            continue;
        if (parse_line(trace, line, event)) {
            first_event(trace);
            return TRACE_EVENT;
        }
        if (!trace->failed && trace->events == 0 && trace->wrong >= STRANGE_MAX) {
            say_no_trace(trace);
            fail(trace);
        }
    }
    if (!trace->failed && trace->events == 0 && trace->wrong > 0 && !follow) {
        say_no_trace(trace);
        fail(trace);
    }
    return trace->failed ? TRACE_FAILED : TRACE_END;
}

bool trace_close(struct trace *trace) {
    const bool whole = trace->wrong == 0 && !trace->failed;
    if (!trace->failed && !trace->hushed && trace->wrong > TOLD_MAX)
        say("closetrace: %s: %llu more such lines", trace->name, (unsigned long long)(trace->wrong - TOLD_MAX));
    if (trace->fd != STDIN_FILENO)
        close(trace->fd);
    free(trace->store.memory);
    free(trace);
    return whole;
}
