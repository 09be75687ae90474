/* Closes. What is left of its socket may stay in FIN_WAIT2 for a second, not for the usual minute. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();
    int seconds = 1;

    MUST(setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof seconds));
    close(fd);
    your_turn();
    return 0;
}
