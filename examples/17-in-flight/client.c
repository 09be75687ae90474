/* Looks while the server's descriptor is under way, and reads what its receiver has to say. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    my_turn();
    look(fd);
    your_turn();

    my_turn();
    while (read_and_say(fd) > 0)
        continue;
    close(fd);
    return 0;
}
