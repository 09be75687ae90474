/* Ends without close() and without shutdown(), in one of many ways. */
#include "../lesson.h"
#include <signal.h>

/* A child that lives on, and has everything that its parent had. It goes when the client has looked. */
static void leave_a_child_behind(void) {
    int parent_lives[2];
    char byte;
    MUST(pipe(parent_lives));
    if (MUST(fork()) > 0)
        return;
    close(parent_lives[1]);
    MUST(read(parent_lives[0], &byte, 1)); /* returns when the parent is gone */
    your_turn();
    my_turn();
    _exit(0);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "return";
    accept_client();

    if (strcmp(how, "exit") == 0)
        exit(0);
    if (strcmp(how, "_exit") == 0)
        _exit(0);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "SIGKILL") == 0)
        raise(SIGKILL);
    if (strcmp(how, "child") == 0)
        leave_a_child_behind();
    return 0;
}
