/* Writes before and after the client's SHUT_RD, of which it hears nothing. */
#include "../lesson.h"
#include <linux/sockios.h>
#include <sys/ioctl.h>

static void wait_until_acknowledged(int fd) {
    int bytes = 1;
    for (int waited = 0; bytes > 0 && waited < LIMIT_MS; waited++) {
        MUST(ioctl(fd, SIOCOUTQ, &bytes));
        usleep(1000);
    }
    say(bytes > 0 ? "it is not acknowledged" : "the client's kernel has acknowledged it");
}

int main(void) {
    int fd = accept_client();

    write_and_say(fd, "one");
    your_turn();

    my_turn();
    look(fd);
    write_and_say(fd, "two");
    wait_until_acknowledged(fd);
    your_turn();

    my_turn();
    close(fd);
    your_turn();
    return 0;
}
