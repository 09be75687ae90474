/* Reads the server's greeting; then looks for the end, before and after the helper's. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    my_turn();
    read_and_say(fd);
    bool ended = is_readable(fd);
    if (ended)
        read_and_say(fd);
    else
        look(fd);
    your_turn();

    my_turn();
    say("now the helper has ended");
    if (!ended)
        read_and_say(fd);
    close(fd);
    return 0;
}
