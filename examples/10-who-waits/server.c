/* Ends its direction second. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_to_end(fd);
    your_turn();

    my_turn();
    fill(fd);
    close(fd);
    your_turn();
    return 0;
}
