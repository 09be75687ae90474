/* Closes. From now on nobody here will read. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    close(fd);
    your_turn();
    return 0;
}
