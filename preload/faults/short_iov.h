/*
 * What a fault rule's short= leaves of the parts of a writev(), readv() or message: as many parts as fit here, which
 * are at most as many bytes as it wants. The caller's own parts are not touched.
 */
#ifndef CLOSETRACE_SHORT_IOV_H
#define CLOSETRACE_SHORT_IOV_H

#include <stddef.h>
#include <sys/uio.h>

enum { SHORT_PARTS = 16 };

struct short_parts {
    struct iovec parts[SHORT_PARTS];
    int count;
};

static inline void short_parts_of(struct short_parts *shorter, const struct iovec *parts, size_t count, size_t most) {
    shorter->count = 0;
    for (size_t i = 0; i < count && shorter->count < SHORT_PARTS && most > 0; i++) {
        struct iovec *part = &shorter->parts[shorter->count++];
        *part = parts[i];
        if (part->iov_len > most)
            part->iov_len = most;
        most -= part->iov_len;
    }
}

/* Puts the shorter parts in place of a message's. */
#define SHORT_MESSAGE(message, most)                                             \
    struct short_parts shorter;                                                  \
    struct msghdr short_message = *(message);                                    \
    short_parts_of(&shorter, (message)->msg_iov, (message)->msg_iovlen, (most)); \
    short_message.msg_iov = shorter.parts;                                       \
    short_message.msg_iovlen = (size_t)shorter.count

#endif
