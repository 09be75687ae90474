/* Ends its direction: by close(), which leaves an orphan, or by shutdown(), which keeps the descriptor. */
#include "../lesson.h"

int main(int argc, char **argv) {
    (void)argv;
    int fd = connect_to_server();

    if (argc > 1) {
        int seconds = 1; /* for an orphan; this will be none */
        MUST(setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof seconds));
        shutdown(fd, SHUT_WR);
        your_turn();
        my_turn();
        read_and_say(fd);
    }
    close(fd);
    your_turn();
    return 0;
}
