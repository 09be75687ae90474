/* For tests/supervise.bats, linked statically: programs that preloading cannot reach. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(call)         \
    do {                   \
        if ((call) < 0) {  \
            perror(#call); \
            exit(1);       \
        }                  \
    } while (0)

static int listen_at(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    MUST(listener);
    MUST(bind(listener, (struct sockaddr *)address, size));
    MUST(listen(listener, 64));
    MUST(getsockname(listener, (struct sockaddr *)address, &size));
    return listener;
}

/* Both ends of a connection. */
static void meet(int listener, const struct sockaddr_in *address, int ends[2]) {
    MUST(ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(connect(ends[0], (const struct sockaddr *)address, sizeof *address));
    MUST(ends[1] = accept(listener, NULL, NULL));
}

static int rounds;

static void *make_connections(void *unused) {
    struct sockaddr_in address;
    int listener = listen_at(&address), ends[2];
    char byte;
    for (int i = 0; i < rounds; i++) {
        meet(listener, &address, ends);
        MUST(close(ends[0]));
        MUST(read(ends[1], &byte, 1));
        MUST(close(ends[1]));
    }
    MUST(close(listener));
    return unused;
}

/* threads N ROUNDS */
static int threads(char **arguments) {
    enum { MOST = 64 };
    pthread_t list[MOST];
    const int count = atoi(arguments[0]);
    rounds = atoi(arguments[1]);
    for (int i = 0; i < count && i < MOST; i++)
        MUST(-pthread_create(&list[i], NULL, make_connections, NULL));
    for (int i = 0; i < count && i < MOST; i++)
        pthread_join(list[i], NULL);
    return 0;
}

/* It asks for nothing more than that its calls go on: says so, closes a hundred files, and says that too. */
static int goes_on(void) {
    struct sockaddr_in address;
    int ends[2];
    meet(listen_at(&address), &address, ends);
    puts("here");
    fflush(stdout);
    for (char byte; read(STDIN_FILENO, &byte, 1) > 0;)
        ;
    for (int i = 0; i < 100; i++)
        if (close(dup(STDOUT_FILENO)) != 0)
            return 1;
    if (close(ends[0]) != 0 || shutdown(ends[1], SHUT_RDWR) != 0)
        return 1;
    puts("fine");
    return 0;
}

static int refused(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (shutdown(fd, SHUT_WR) != -1 || errno != ENOTCONN || close(fd) != 0 || close(fd) != -1 || errno != EBADF)
        return 1;
    return shutdown(fd, SHUT_WR) == -1 && errno == EBADF && dup2(fd, 77) == -1 && errno == EBADF ? 0 : 1;
}

/* The first is not there, the second is: what is close-on-exec goes with that one. */
static int tries(char **arguments) {
    struct sockaddr_in address;
    int ends[2];
    meet(listen_at(&address), &address, ends);
    execl("/nowhere/true", "true", NULL);
    execv(arguments[0], arguments);
    return 1;
}

static int holds(void) {
    struct sockaddr_in address;
    int ends[2], status, gate[2];
    char byte;
    meet(listen_at(&address), &address, ends);
    MUST(pipe(gate));
    pid_t child = fork();
    if (child == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 5 : 1);
    }
    MUST(close(ends[0]));
    printf("CHILD=%d\n", child);
    close(gate[1]);
    MUST(waitpid(child, &status, 0));
    return WEXITSTATUS(status) == 5 ? 0 : 1;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "threads") == 0)
        return threads(argv + 2);
    if (strcmp(what, "goes-on") == 0)
        return goes_on();
    if (strcmp(what, "refused") == 0)
        return refused();
    if (strcmp(what, "tries") == 0)
        return tries(argv + 2);
    if (strcmp(what, "holds") == 0)
        return holds();
    return 2;
}
