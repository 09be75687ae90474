/* Another library that wraps what we wrap, and passes it on to the next: it counts what the program has called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int closes, shutdowns, duplicates, writes, forks, exits, accepts;

#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

int close(int fd) {
    closes++;
    return NEXT(close)(fd);
}

int shutdown(int fd, int how) {
    shutdowns++;
    return NEXT(shutdown)(fd, how);
}

int dup2(int fd, int new_fd) {
    duplicates++;
    return NEXT(dup2)(fd, new_fd);
}

ssize_t write(int fd, const void *buffer, size_t count) {
    writes++;
    return NEXT(write)(fd, buffer, count);
}

int accept(int fd, struct sockaddr *address, socklen_t *length) {
    accepts++;
    return NEXT(accept)(fd, address, length);
}

pid_t fork(void) {
    forks++;
    return NEXT(fork)();
}

void exit(int status) {
    exits++;
    NEXT(exit)(status);
    __builtin_unreachable();
}

__attribute__((destructor)) static void tell(void) {
    printf("closes %d shutdowns %d dup2s %d accepts %d forks %d exits %d\n", closes, shutdowns, duplicates, accepts,
           forks, exits);
    printf("writes %d\n", writes);
    fflush(stdout);
}
