/* Reads a part of the request, answers, and closes: at once, or when the client has ended too. */
#include "../lesson.h"

int main(int argc, char **argv) {
    bool patient = argc > 1 && strcmp(argv[1], "patient") == 0;
    char line[8];
    int fd = accept_client();

    my_turn();
    MUST(read(fd, line, sizeof line)); /* a part: there is more */
    say("I answer with %ld bytes", fill(fd));
    if (patient) {
        shutdown(fd, SHUT_WR);
        your_turn();
        read_to_end(fd); /* what is still to come, whatever it is */
    }
    close(fd);
    if (!patient)
        your_turn();
    return 0;
}
