/* Reads what comes. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_and_say(fd);
    read_and_say(fd);
    close(fd);
    your_turn();
    return 0;
}
