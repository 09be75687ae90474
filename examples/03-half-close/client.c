/* Says that its question is complete, though a copy of the descriptor is still open; then reads the answer. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();
    int copy = dup(fd);

    write_text(fd, "how are you?");
    shutdown(fd, SHUT_WR); /* FIN, whoever else refers to the socket */
    your_turn();

    my_turn();
    read_and_say(fd); /* the other direction goes on */
    read_and_say(fd);
    close(copy);
    close(fd);
    return 0;
}
