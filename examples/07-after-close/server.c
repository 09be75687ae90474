/* Closes while most of what it has written is still in its send buffer. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    say("my kernel has taken %ld bytes", fill(fd));
    close(fd); /* returns at once */
    write_and_say(fd, "one more");
    read_and_say(fd);
    your_turn();
    return 0;
}
