/* Reads when the server's close() has returned; with an argument, while it is waiting. */
#include "../lesson.h"

int main(int argc, char **argv) {
    (void)argv;
    int fd = connect_to_server();
    int written = receive();

    if (argc > 1) {
        wait_for_state(server_state, "FIN_WAIT1");
        say("the server is inside close(); I begin to read");
        read_exactly(fd, written);
        say("I have read %d bytes", written);
        my_turn();
        read_and_say(fd);
    } else {
        my_turn();
        read_to_end_and_say(fd);
    }
    close(fd);
    return 0;
}
