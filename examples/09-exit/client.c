/* Waits for the end of the stream. With an argument: looks first whether something has come. */
#include "../lesson.h"

int main(int argc, char **argv) {
    (void)argv;
    int fd = connect_to_server();

    if (argc > 1) {
        my_turn();
        look(fd);
        your_turn();
    }
    read_and_say(fd);
    close(fd);
    return 0;
}
