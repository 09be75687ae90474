/* Asks, and reads the answer to its end. It does not half-close: not by itself. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    write_text(fd, "how are you?");
    while (read_and_say(fd) > 0)
        continue;
    close(fd);
    return 0;
}
