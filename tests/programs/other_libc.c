/*
 * A little of everything that the library wraps, for a libc of which it knows nothing. Built with that libc too (by the
 * test). One line of standard input is read; what is printed is the same each time. Ends with 7.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void say(const char *what, long number) {
    printf("%s %ld\n", what, number);
    fflush(stdout);
}

static void say_ended(const char *what, pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    say(what, WIFEXITED(status) ? WEXITSTATUS(status) : -status);
}

static void connect_pair(int *client, int *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    say("bind", bind(listener, (struct sockaddr *)&address, length) | listen(listener, 5) |
                    getsockname(listener, (struct sockaddr *)&address, &length));
    *client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    say("connect", connect(*client, (struct sockaddr *)&address, length));
    *server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    say("close", close(listener));
}

static void talk(int client, int server) {
    char text[32] = "";
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct pollfd readable = {.fd = client, .events = POLLIN};
    FILE *stream = fdopen(dup(server), "r+");
    say("write", write(client, "a line\n", 7));
    printf("got %s", fgets(text, sizeof text, stream));
    say("fprintf", fprintf(stream, "answer %d\n", 5));
    say("fflush", fflush(stream));
    say("poll", poll(&readable, 1, 5000));
    say("recvmsg", recvmsg(client, &message, 0));
    const int closed = fclose(stream);
    say("fclose", closed);
    say("sendmsg", sendmsg(server, &message, MSG_NOSIGNAL));
    say("readv", readv(client, &part, 1));
    say("shutdown", shutdown(client, SHUT_WR));
    say("read", read(server, text, sizeof text));
    int copy = fcntl(client, F_DUPFD_CLOEXEC, 50);
    say("dup2", dup2(client, copy) - copy);
    say("close", close(copy));
    say("failed", close(copy) == -1 && errno == EBADF);
}

static void make_children(int client) {
    char *arguments[] = {(char *)"true", NULL};
    char line[32] = "";
    pid_t child = fork();
    if (child == 0) {
        close(client);
        _exit(3);
    }
    say_ended("fork", child);
    child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0)
        _exit(4);
    say_ended("vfork", child);
    say("posix_spawn", posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ));
    say_ended("spawned", child);
    say("system", WEXITSTATUS(system("exit 5")));
    FILE *shell = popen("echo shell", "r");
    printf("popen %s", fgets(line, sizeof line, shell));
    say("pclose", pclose(shell));
}

static void *open_and_close(void *unused) {
    int ends[2];
    (void)unused;
    return pipe(ends) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0 ? (void *)"" : NULL;
}

int main(int count, char **arguments) {
    int client, server;
    char word[16];
    pthread_t thread;
    void *result = NULL;
    connect_pair(&client, &server);
    talk(client, server);
    make_children(client);
    pthread_create(&thread, NULL, open_and_close, NULL);
    pthread_join(thread, &result);
    say("thread", result != NULL);
    say("scanf", scanf("%15s", word));
    dprintf(STDOUT_FILENO, "dprintf %s\n", "text");
    close(client);
    close(server);
    if (count > 1)
        execl("/proc/self/exe", arguments[0], (char *)NULL);
    return 7;
}
