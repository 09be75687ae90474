/*
 * Closes one of two references of a connection, again and again, in a process with `descriptors` other open ones
 * and a system with `processes` children of it: prints the mean time of a dup() and of a close() in nanoseconds.
 * Usage: close_reference DESCRIPTORS PROCESSES ROUNDS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int connection(int *peer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        connect(client, (struct sockaddr *)&address, length) != 0)
        fail("connection");
    *peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
    return client;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int descriptors = atoi(argv[1]), processes = atoi(argv[2]), rounds = atoi(argv[3]), peer;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)descriptors + 100) {
        limit.rlim_cur = (rlim_t)descriptors + 100;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            fail("setrlimit");
    }
    pid_t *children = calloc((size_t)processes, sizeof *children);
    if (!children)
        fail("calloc");
    for (int i = 0; i < processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
    }
    for (int i = 0; i < descriptors; i++)
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
            fail("open");
    int fd = connection(&peer);
    double dups = 0, closes = 0;
    for (int i = 0; i < rounds; i++) {
        double start = now();
        int copy = dup(fd);
        double between = now();
        close(copy);
        dups += between - start;
        closes += now() - between;
    }
    printf("%d %d %.0f %.0f\n", descriptors, processes, dups / rounds, closes / rounds);
    for (int i = 0; i < processes; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    free(children);
    return 0;
}
