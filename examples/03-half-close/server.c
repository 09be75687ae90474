/* Reads the question to its end, and answers then. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_and_say(fd);
    read_and_say(fd);
    say_states();
    write_text(fd, "fine, and you?");
    close(fd);
    your_turn();
    return 0;
}
