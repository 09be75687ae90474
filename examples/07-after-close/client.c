/* Begins to read when the server has long closed. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    my_turn();
    say_states();
    read_to_end_and_say(fd);
    close(fd);
    return 0;
}
