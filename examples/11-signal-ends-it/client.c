/* Has ended its direction, and interrupts a server that does not think of ending its own. */
#include "../lesson.h"
#include <signal.h>

int main(void) {
    int fd = connect_to_server();

    shutdown(fd, SHUT_WR);
    your_turn();

    pid_t server = receive();
    wait_for_state(client_state, "FIN_WAIT2");
    say_states();
    kill(server, SIGINT);

    read_and_say(fd); /* waits for the server's FIN */
    wait_for_state(server_state, "gone");
    say_states();
    close(fd);
    return 0;
}
