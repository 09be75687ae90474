/* Shuts both directions down, and still has the descriptor. */
#include "../lesson.h"
#include <fcntl.h>

static void look_at(int fd) {
    if (fcntl(fd, F_GETFD) >= 0)
        say("descriptor %d is there", fd);
    else
        say("descriptor %d is not there: %s", fd, strerrorname_np(errno));
}

int main(void) {
    int fd = connect_to_server();

    shutdown(fd, SHUT_RDWR);
    read_and_say(fd);
    write_and_say(fd, "hello");
    look_at(fd);
    your_turn();

    my_turn();
    say_states();
    look_at(fd);
    close(fd);
    look_at(fd);
    return 0;
}
