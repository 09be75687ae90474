/* Reads a question, waits a moment for its end, and answers. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    read_and_say(fd);
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    poll(&end, 1, 200);
    write_text(fd, "fine, and you?");
    close(fd);
    return 0;
}
