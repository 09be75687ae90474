/* Closes with data unsent, and with SO_LINGER off, {1, 0} or {1, 5}. */
#include "../lesson.h"

int main(int argc, char **argv) {
    int fd = accept_client();
    long taken = fill(fd);
    say("my kernel has taken %ld bytes", taken);
    hand_over((int)taken);

    if (argc > 1) {
        struct linger linger = {.l_onoff = 1, .l_linger = atoi(argv[1])};
        MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    }
    close(fd);
    say("close() has returned");
    your_turn();
    return 0;
}
