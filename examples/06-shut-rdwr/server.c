/* Cannot tell from the FIN that the client will not read either; learns it from the answer to what it writes. */
#include "../lesson.h"

int main(void) {
    int fd = accept_client();

    my_turn();
    read_and_say(fd);
    write_and_say(fd, "are you there?");
    wait_for_reset(fd);
    write_and_say(fd, "hello?");
    close(fd);
    your_turn();
    return 0;
}
