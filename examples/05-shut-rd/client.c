/* Shuts its receiving direction down, and goes on reading. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    my_turn(); /* "one" stands in the receive buffer */
    shutdown(fd, SHUT_RD);
    read_and_say(fd); /* it is still there */
    your_turn();

    my_turn();
    read_and_say(fd); /* and so is what came later */
    say_states();
    read_and_say(fd); /* only an empty buffer reads as an end, and no FIN has come */
    your_turn();

    my_turn();
    close(fd);
    return 0;
}
