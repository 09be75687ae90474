/* Sends a descriptor over a unix socket. While it is under way no process has it, and it counts all the same. */
#include "../lesson.h"

/* A message of one byte, with room for one descriptor. */
struct parcel {
    char byte;
    _Alignas(struct cmsghdr) char rights[CMSG_SPACE(sizeof(int))];
    struct iovec data;
    struct msghdr message;
};

static struct msghdr *wrap(struct parcel *parcel) {
    parcel->data = (struct iovec){&parcel->byte, 1};
    parcel->message = (struct msghdr){.msg_iov = &parcel->data, .msg_iovlen = 1};
    parcel->message.msg_control = parcel->rights;
    parcel->message.msg_controllen = sizeof parcel->rights;
    return &parcel->message;
}

static void send_descriptor(int over, int fd) {
    struct parcel parcel = {0};
    struct msghdr *message = wrap(&parcel);
    struct cmsghdr *header = (struct cmsghdr *)parcel.rights;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    MUST(sendmsg(over, message, 0));
}

static int receive_descriptor(int over) {
    struct parcel parcel = {0};
    int fd;
    MUST(recvmsg(over, wrap(&parcel), 0));
    memcpy(&fd, CMSG_DATA((struct cmsghdr *)parcel.rights), sizeof fd);
    return fd;
}

int main(void) {
    int fd = accept_client(), line[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, line));

    send_descriptor(line[0], fd);
    close(fd); /* no FIN: the copy under way is left */
    your_turn();

    my_turn();
    fd = receive_descriptor(line[1]);
    write_text(fd, "sorry to keep you waiting");
    close(fd); /* the last one: FIN */
    your_turn();
    return 0;
}
