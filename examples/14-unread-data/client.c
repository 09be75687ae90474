/* Sends a request that is longer than the server cares to read, and reads the answer. */
#include "../lesson.h"

int main(void) {
    int fd = connect_to_server();

    write_text(fd, "question, and much that nobody asked for");
    your_turn();

    my_turn();
    read_to_end_and_say(fd);
    close(fd);
    return 0;
}
