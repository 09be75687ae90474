/* Closes when the client's kernel has forgotten the connection. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_and_say(fd);
    wait_for_state(client_state, "FIN_WAIT2");
    say_states();

    wait_for_state(client_state, "gone");
    say_states();
    close(fd);
    say_states();
    return 0;
}
