/* Ends its direction: by close(), which leaves an orphan, or by shutdown(), which keeps the descriptor. */
#include "../lesson.h"

int main(int argc, char **argv) {
    (void)argv;
    bool keep = argc > 1;
    int seconds = 1, fd = connect_to_server();

    /* How long an orphan may stay in FIN_WAIT2: a second, not the usual minute. */
    MUST(setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof seconds));
    if (keep)
        shutdown(fd, SHUT_WR);
    else
        close(fd);
    your_turn();

    my_turn();
    if (keep) {
        read_and_say(fd);
        close(fd);
    }
    return 0;
}
