/* Sends a descriptor over a unix socket. While it is under way no process has it, and it counts all the same. */
#include "../lesson.h"

/* A message of one byte, and with it one descriptor. */
struct parcel {
    struct {
        struct cmsghdr header;
        int fd; /* where CMSG_DATA() would look for it */
    } rights;
    char byte;
    struct iovec data;
    struct msghdr message;
};

static void wrap(struct parcel *parcel, int fd) {
    parcel->rights.header = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    parcel->rights.fd = fd;
    parcel->data = (struct iovec){&parcel->byte, 1};
    parcel->message = (struct msghdr){.msg_iov = &parcel->data, .msg_iovlen = 1};
    parcel->message.msg_control = &parcel->rights;
    parcel->message.msg_controllen = sizeof parcel->rights;
}

int main(void) {
    int fd = accept_client(), line[2];
    struct parcel parcel = {0};
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, line));

    wrap(&parcel, fd);
    MUST(sendmsg(line[0], &parcel.message, 0));
    close(fd); /* no FIN: the copy under way is left */
    your_turn();

    my_turn();
    wrap(&parcel, -1);
    MUST(recvmsg(line[1], &parcel.message, 0));
    write_text(parcel.rights.fd, "sorry to keep you waiting");
    close(parcel.rights.fd); /* the last one: FIN */
    your_turn();
    return 0;
}
