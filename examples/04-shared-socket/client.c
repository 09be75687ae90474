/* Two children share its connection. One closes it, the other shuts it down: what is left to the parent? */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    if (MUST(fork()) == 0) {
        close(fd);
        _exit(0);
    }
    wait(NULL);
    write_and_say(fd, "after my child's close()");

    if (MUST(fork()) == 0) {
        shutdown(fd, SHUT_WR);
        _exit(0);
    }
    wait(NULL);
    write_and_say(fd, "after my child's shutdown()");

    your_turn();
    my_turn();
    close(fd);
    return 0;
}
