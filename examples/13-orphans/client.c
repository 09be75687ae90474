/* Closes and ends while nobody has read what it has written. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    say("my port is %d", client_port);
    say("my kernel has taken %ld bytes", fill(fd));
    close(fd);
    return 0;
}
