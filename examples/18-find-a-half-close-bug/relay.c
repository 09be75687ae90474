/* Stands between client and server, and copies both ways. What does it do when one of them has ended? */
#include "../lesson.h"

/* Takes turns with the server from now on, no longer with the client. */
static void turn_to_server(void) {
    dup2(10, MY_TURN);
    dup2(11, YOUR_TURN);
}

/* Copies what has come from one to the other; false at the end of the stream. */
static bool copy(int from, int to) {
    char block[4096];
    long count = MUST(read(from, block, sizeof block));
    if (count > 0)
        MUST(send(to, block, (size_t)count, MSG_NOSIGNAL));
    return count > 0;
}

int main(int argc, char **argv) {
    bool mended = argc > 1 && strcmp(argv[1], "mended") == 0;
    int client = accept_client();
    turn_to_server();
    int server = connect_to_server();

    struct pollfd from[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    const int to[] = {server, client};
    for (int left = 2; left > 0;) {
        MUST(poll(from, 2, LIMIT_MS));
        for (int i = 0; i < 2; i++) {
            if (from[i].fd < 0 || from[i].revents == 0 || copy(from[i].fd, to[i]))
                continue;
            if (mended)
                shutdown(to[i], SHUT_WR);
            from[i].fd = -1;           /* poll() passes over it */
            left -= mended ? 1 : left; /* one has ended, so everything has? That is the bug. */
        }
    }
    close(client);
    close(server);
    return 0;
}
