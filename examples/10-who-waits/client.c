/* Ends its direction first, and looks at both ends after each step. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    fill(fd);              /* more than the server's kernel takes, */
    shutdown(fd, SHUT_WR); /* so that the FIN has to wait behind it */
    say_states();
    your_turn();

    my_turn(); /* the server has read everything, the FIN too */
    wait_for_state(client_state, "FIN_WAIT2");
    say_states();
    your_turn();

    my_turn(); /* it has written more than our kernel takes, and closed */
    say_states();
    read_to_end(fd);
    wait_for_state(server_state, "gone");
    say_states();
    close(fd);
    return 0;
}
