/* A library whose constructor and destructor open and close connections. What it finds wrong it says, and aborts. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int client = -1, server = -1;

static int must(int result, const char *call) {
    if (result < 0) {
        perror(call);
        abort();
    }
    return result;
}
#define MUST(call) must((int)(call), #call)

static void open_pair(int *from, int *to) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&name, length));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&name, &length));
    *from = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(*from, (struct sockaddr *)&name, length));
    *to = MUST(accept(listener, NULL, NULL));
    MUST(close(listener));
}

static void use_everything(const char *when) {
    char byte;
    int from, to, status = -1;
    open_pair(&from, &to);
    MUST(write(from, "x", 1));
    MUST(read(to, &byte, 1));
    MUST(close(MUST(dup(from))));
    int child = MUST(fork());
    if (child == 0) {
        close(from);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    MUST(shutdown(from, SHUT_WR));
    MUST(dup2(to, from));
    MUST(close_range((unsigned)from, (unsigned)from, 0));
    MUST(close(to));
    printf("%s: a connection opened and closed, child %d\n", when, status);
    fflush(stdout);
}

__attribute__((constructor)) static void begin(void) {
    use_everything("constructor");
    open_pair(&client, &server);
}

/* What the constructor has opened is closed here. */
__attribute__((destructor)) static void end(void) {
    use_everything("destructor");
    printf("destructor: %d %d\n", close(client), close(server));
    fflush(stdout);
}
