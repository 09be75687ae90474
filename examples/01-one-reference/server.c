/* Two descriptors refer to one socket. close() takes away one of them. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();
    int copy = dup(fd);

    close(fd); /* no FIN: the copy is left */
    your_turn();

    my_turn();
    close(copy); /* the last one: FIN */
    your_turn();
    return 0;
}
