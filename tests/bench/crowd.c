/*
 * crowd PROCESSES CONNECTIONS: so many processes with so many connections between them, both ends here. Says "ready",
 * and holds them until its standard input ends.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in here = {.sin_family = AF_INET};

static int die(const char *what) {
    perror(what);
    exit(1);
}

static int listener(void) {
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, size) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&here, &size))
        die("listen");
    return fd;
}

/* Takes its share, tells so, and waits for the end of the pipe. */
static void member(int listening, int connections, int ready, int end) {
    char byte = 0;
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&here, sizeof here) || accept(listening, NULL, NULL) < 0)
            die("connect");
    }
    close(listening);
    if (write(ready, &byte, 1) != 1 || read(end, &byte, 1) < 0)
        die("pipe");
    _exit(0);
}

int main(int argc, char **argv) {
    const int processes = argc > 2 ? atoi(argv[1]) : 1, connections = argc > 2 ? atoi(argv[2]) : 1;
    const struct rlimit many = {1 << 16, 1 << 16};
    int ready[2], end[2], listening = listener();
    char byte;
    setrlimit(RLIMIT_NOFILE, &many);
    if (pipe(ready) || pipe(end))
        die("pipe");
    for (int i = 0; i < processes; i++) {
        if (fork() == 0) {
            close(end[1]);
            member(listening, connections / processes, ready[1], end[0]);
        }
        /* One after the other: each accepts what it has connected itself. */
        if (read(ready[0], &byte, 1) != 1)
            die("pipe");
    }
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    close(end[1]);
    while (wait(NULL) > 0)
        ;
    return 0;
}
