/* A helper that is forked while a connection is open refers to it too, whether it cares for it or not. */
#include "../lesson.h"

/* The child: works on something else until the server hangs up. */
_Noreturn static void help(int line, int fd, bool careful) {
    char byte = 0;
    if (careful)
        close(fd); /* not my connection */
    MUST(write(line, &byte, 1));
    MUST(read(line, &byte, 1));
    _exit(0);
}

int main(int argc, char **argv) {
    bool careful = argc > 1 && strcmp(argv[1], "careful") == 0;
    int line[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line));

    int fd = accept_client();
    if (MUST(fork()) == 0) {
        close(line[0]);
        help(line[1], fd, careful);
    }
    close(line[1]);
    char byte;
    MUST(read(line[0], &byte, 1)); /* the helper has begun its work */

    write_text(fd, "hello");
    close(fd);
    your_turn();

    my_turn();
    close(line[0]); /* lets the helper end */
    wait(NULL);
    your_turn();
    return 0;
}
