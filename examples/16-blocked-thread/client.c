/* Looks whether the server's close() was heard of; if not, sends what wakes the server's thread. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    my_turn();
    if (!is_readable(fd)) {
        look(fd);
        write_text(fd, "wake up");
        my_turn();
    }
    read_and_say(fd);
    close(fd);
    return 0;
}
