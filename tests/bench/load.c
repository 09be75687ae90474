/*
 * load PORT CONNECTIONS FILE: so many connections to 127.0.0.1, one after the other. Each sends what FILE holds, reads
 * to the end, closes. Prints how many nanoseconds of a core's time it took here, and how many bytes came.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long used(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long converse(const struct sockaddr_in *server, const char *request, size_t length) {
    char buffer[65536];
    long total = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof *server) != 0 ||
        write(fd, request, length) != (ssize_t)length)
        err(1, "a connection");
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
        total += got;
    close(fd);
    return total;
}

int main(int argc, char **argv) {
    char request[4096];
    if (argc != 4)
        errx(2, "usage: load PORT CONNECTIONS FILE");
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    int file = open(argv[3], O_RDONLY);
    ssize_t length = file < 0 ? -1 : read(file, request, sizeof request);
    if (length <= 0)
        err(2, "%s", argv[3]);
    long count = atol(argv[2]), bytes = 0;
    long begin = used();
    for (long i = 0; i < count; i++)
        bytes += converse(&server, request, (size_t)length);
    printf("%ld %ld\n", used() - begin, bytes);
    return 0;
}
