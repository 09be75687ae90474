/* A library with an indirect function, whose resolver uses descriptors: it runs before most others are relocated. */
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>

static int answer(void) {
    return 42;
}

static int (*resolve(void))(void) {
    char byte;
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t length = read(fd, &byte, 1);
    return close(fd) == 0 && length == 1 ? answer : NULL;
}
int indirect(void) __attribute__((ifunc("resolve")));

__attribute__((constructor)) static void tell(void) {
    printf("indirect: %d\n", indirect());
    fflush(stdout);
}
