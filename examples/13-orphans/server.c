/* Reads when the client's process is long gone. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_to_end_and_say(fd);
    close(fd);
    return 0;
}
