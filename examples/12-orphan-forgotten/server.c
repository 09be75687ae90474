/* Closes late: when the client's kernel has forgotten the connection, or when it would have, were it an orphan. */
#include "../lesson.h"

int main(int argc, char **argv) {
    (void)argv;
    bool kept = argc > 1;
    int fd = accept_client();

    my_turn();
    read_and_say(fd);
    wait_for_state(client_state, "FIN_WAIT2");
    say_states();

    if (kept)
        usleep(1500000);
    else
        wait_for_state(client_state, "gone");
    say_states();
    close(fd);
    your_turn();
    return 0;
}
