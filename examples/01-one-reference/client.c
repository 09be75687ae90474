/* Looks for the end of the stream after the server's first close(), and reads it after the second. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    my_turn();
    look(fd);
    your_turn();

    my_turn();
    read_and_say(fd);
    close(fd);
    return 0;
}
