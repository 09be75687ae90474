/* Goes on writing to a client that has closed. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_and_say(fd);
    write_and_say(fd, "one"); /* works: a FIN says that the peer will not write, not that it will not read */
    wait_for_reset(fd);
    write_and_say(fd, "two"); /* send(MSG_NOSIGNAL): the error alone */
    write_text(fd, "three");  /* write(): the signal too, whose default ends the process */
    say("this is never said");
    return 0;
}
