/* What the hooks have behind them where libc is older than a function: here, where nothing at all is found. */
#define _GNU_SOURCE
#include "kernel/libc_real.c" // NOLINT(bugprone-suspicious-include): its search is replaced

#include <sys/stat.h>
#include <sys/wait.h>

#include "unit.h"

void loaded_find(const struct loaded_symbol *wanted, struct loaded_function *found, size_t count) {
    (void)wanted;
    (void)found;
    (void)count;
}

void *loaded_find_in(const struct link_map *object, const char *name) {
    (void)object;
    (void)name;
    return NULL;
}

void error_set(int error) {
    errno = error;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_call_of_the_kernel_is_made(void) {
    CHECK(dup2(0, 20) == 20 && dup2(0, 21) == 21 && dup2(0, 40) == 40 && dup2(0, 60) == 60);
    CHECK(REAL(close_range)(20, 30, 0) == 0);
    CHECK(!is_open(20) && !is_open(21) && is_open(40));
    errno = 0;
    CHECK(REAL(close_range)(30, 20, 0) == -1 && errno == EINVAL);
    REAL(closefrom)(40);
    CHECK(!is_open(40) && !is_open(60) && is_open(0));
    errno = 0;
    CHECK(REAL(pidfd_getfd)(-1, 0, 0) == -1 && errno == EBADF);
}

static void execveat_starts_a_program(void) {
    static char *const words[] = {(char *)"true", NULL}, *const environment[] = {NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(REAL(execveat)(AT_FDCWD, "/bin/true", words, environment, 0) == -1 ? 3 : 4);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void anything_else_fails_and_is_looked_for_again(void) {
    errno = 0;
    CHECK(REAL(shutdown)(0, 0) == -1 && errno == ENOSYS);
    CHECK(real.shutdown == NULL);
}

int main(void) {
    real_start();
    CHECK(!real_writes_are_libc());
    a_call_of_the_kernel_is_made();
    execveat_starts_a_program();
    anything_else_fails_and_is_looked_for_again();
    return unit_failures();
}
