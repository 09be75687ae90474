#define _GNU_SOURCE
#include "program_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "older.h"
#include "process.h"
#include "scratch.h"
#include "seccomp_guard.h"

enum { AT_ONCE = 32, VARIABLES_MAX = 4096 };

/* As the exec will be judged: with the effective ids (Linux 5.8), else only whether it is there. */
static bool is_refused(const char *path) {
    long answer = probe(SYS_faccessat2, AT_FDCWD, (long)path, X_OK, AT_EACCESS, 0, 0);
    if (answer == -EACCES)
        return true;
    if (answer == -ENOSYS)
        answer = probe(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0);
    return answer == -ENOENT || answer == -ENOTDIR;
}

/* The kernel reads it for us, up to what cannot be read. How much that is, a NUL behind it. */
static size_t copy_text(const char *from, char *to, size_t size) {
    struct iovec ours = {to, size - 1}, theirs = {(void *)(uintptr_t)from, size - 1};
    const long length = probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0);
    to[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

static bool is_missing_listed(const char *list, const char *folder, size_t length) {
    for (;; list++) {
        const size_t entry = strcspn(list, ":");
        if (entry == length && memcmp(list, folder, length) == 0)
            return true;
        list += entry;
        if (!*list)
            return false;
    }
}

/* The variables at that place of an environment: PATH's value into value. False: it is not among them, and more follow.
 */
static bool find_path(char *const environment[], char *value, size_t size) {
    static const char name[] = "PATH=";
    const char *strings[AT_ONCE];
    struct iovec ours = {strings, sizeof strings}, theirs = {(void *)(uintptr_t)environment, sizeof strings};
    const long got = probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0);
    value[0] = '\0';
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (got < (long)((i + 1) * sizeof *strings) || !strings[i])
            return true;
        char beginning[sizeof name];
        if (copy_text(strings[i], beginning, sizeof beginning) == sizeof name - 1 && strcmp(beginning, name) == 0) {
            copy_text(strings[i] + sizeof name - 1, value, size);
            return true;
        }
    }
    return false;
}

static bool has_in_path(char *const environment[], const char *folder, size_t length, struct scratch *scratch) {
    for (size_t i = 0; environment && i < VARIABLES_MAX; i += AT_ONCE)
        if (find_path(environment + i, scratch->entries, sizeof scratch->entries))
            return is_missing_listed(scratch->entries, folder, length);
    return false;
}

static bool is_along_path(const char *path, char *const environment[], struct scratch *scratch) {
    copy_text(path, scratch->line, sizeof scratch->line);
    const char *slash = strrchr(scratch->line, '/');
    if (!slash)
        return false;
    const size_t length = (size_t)(slash - scratch->line);
    return has_in_path(environ, scratch->line, length, scratch) ||
           (environment != environ && has_in_path(environment, scratch->line, length, scratch));
}

bool program_is_missing_in_path(const char *path, char *const environment[]) {
    OWN_SCRATCH *scratch = path && is_refused(path) ? scratch_take() : NULL;
    return scratch && is_along_path(path, environment, scratch);
}
