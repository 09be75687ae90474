/* One thread waits in recv(), another closes the descriptor under it: alone, or after a shutdown. */
#include "../lesson.h"
#include <pthread.h>

static int fd;
static volatile pid_t reader;

static void *read_on(void *unused) {
    reader = gettid();
    read_and_say(fd);
    say("the thread that was in read() has gone on");
    return unused;
}

int main(int argc, char **argv) {
    bool shut_down_first = argc > 1 && strcmp(argv[1], "shutdown") == 0;
    pthread_t thread;
    fd = accept_client();
    pthread_create(&thread, NULL, read_on, NULL);
    wait_until_asleep(&reader);

    if (shut_down_first) {
        shutdown(fd, SHUT_RDWR);
        pthread_join(thread, NULL);
        close(fd);
        your_turn();
    } else {
        close(fd);
        your_turn();
        pthread_join(thread, NULL);
        your_turn();
    }
    return 0;
}
