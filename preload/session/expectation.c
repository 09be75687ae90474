#define _GNU_SOURCE
#include "expectation.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "command.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"

enum { AT_ONCE = 8, BEGINNING = 24, PAGE = 4096, VALUE = 512, VARIABLES_MAX = 4096 };

static const char preload[] = "LD_PRELOAD=", library[] = "libclosetrace.so", session[] = "CLOSETRACE_SESSION=";

/* The kernel reads it for us, up to what cannot be read; how much that is, or below 0. */
static long copy(const void *from, void *to, size_t size) {
    struct iovec ours = {to, size}, theirs = {(void *)(uintptr_t)from, size};
    return probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0);
}

static size_t to_end_of_page(const char *from, size_t size) {
    const size_t left = PAGE - (uintptr_t)from % PAGE;
    return left < size ? left : size;
}

/* The beginnings of some strings in one call, each as far as its page goes. False: one cannot be read. */
static bool copy_beginnings(const char *const from[], size_t count, char to[][BEGINNING]) {
    struct iovec ours[AT_ONCE], theirs[AT_ONCE];
    long total = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t size = to_end_of_page(from[i], BEGINNING);
        memset(to[i], 0, BEGINNING);
        ours[i] = (struct iovec){to[i], size};
        theirs[i] = (struct iovec){(void *)(uintptr_t)from[i], size};
        total += (long)size;
    }
    return probe(SYS_process_vm_readv, process_id(), (long)ours, (long)count, (long)theirs, (long)count, 0) == total;
}

/* A name may go on in the next page. */
static bool begins(const char *from, const char beginning[BEGINNING], const char *name, size_t length) {
    char whole[BEGINNING];
    const size_t there = to_end_of_page(from, BEGINNING);
    if (there >= length)
        return memcmp(beginning, name, length) == 0;
    return memcmp(beginning, name, there) == 0 && copy(from, whole, length) == (long)length &&
           memcmp(whole, name, length) == 0;
}

/* Its value has that text in it; whole: is that text. */
static bool has_value(const char *value, const char *text, bool whole) {
    char copied[VALUE];
    const long length = copy(value, copied, sizeof copied - 1);
    if (length <= 0)
        return false;
    copied[length] = '\0';
    return whole ? strcmp(copied, text) == 0 : strstr(copied, text) != NULL;
}

struct found {
    bool library, session, unreadable;
};

static void look_at(const char *from, const char beginning[BEGINNING], struct found *found) {
    if (begins(from, beginning, preload, sizeof preload - 1))
        found->library = has_value(from + sizeof preload - 1, library, false);
    else if (begins(from, beginning, session, sizeof session - 1))
        found->session = has_value(from + sizeof session - 1, command_text(), true);
}

/* False: that was the last. */
static bool look_at_some(char *const environment[], struct found *found) {
    const char *strings[AT_ONCE];
    char beginnings[AT_ONCE][BEGINNING];
    const long got = copy(environment, strings, sizeof strings);
    size_t count = 0;
    while (got > 0 && count < (size_t)got / sizeof *strings && strings[count])
        count++;
    found->unreadable = got <= 0 || (count > 0 && !copy_beginnings(strings, count, beginnings));
    for (size_t i = 0; i < count && !found->unreadable; i++)
        look_at(strings[i], beginnings[i], found);
    return count == AT_ONCE && !found->unreadable;
}

/* Where it cannot be seen, the program is to be heard of: it has what this one had. */
enum roster_state expectation_of(char *const environment[]) {
    struct found found = {0};
    for (size_t i = 0; environment && i < VARIABLES_MAX && look_at_some(environment + i, &found); i += AT_ONCE)
        ;
    if (found.unreadable)
        return ROSTER_EXEC;
    if (!found.library)
        return ROSTER_EXEC_BARE;
    return found.session && command_can_be_reached() ? ROSTER_EXEC : ROSTER_EXEC_ALONE;
}
