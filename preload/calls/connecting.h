/*
 * The call paths of the calls that make connections: socket, bind, connect, accept. The table learns, the event is
 * logged. errno is kept.
 */
#ifndef CLOSETRACE_CONNECTING_H
#define CLOSETRACE_CONNECTING_H

#include <sys/socket.h>

#include "output/call.h"

/* After socket() made fd. */
void socket_made(int fd, int domain, int type);

/* After bind() or listen() on fd failed, with that errno: told where it is EADDRINUSE. The address, or NULL: the
 * socket's own. */
void address_in_use(int fd, const struct sockaddr *address, socklen_t length, int error, const char *name,
                    const void *caller);

/* Whether connect() with that address is a disconnect: AF_UNSPEC, connect(2). The address may be a bad pointer. */
bool connect_disconnects(const struct sockaddr *address, socklen_t length);

/*
 * After accept() on listener made fd; the peer's name as the kernel gave it to the program, or NULL. tcp: the listener
 * was one of TCP, most likely, when the call began: another thread may have closed it since.
 */
void accepted(bool tcp, int listener, int fd, const struct sockaddr *peer, socklen_t length, const struct call *call);

/* After connect() on fd to that address (NULL: not known); error is its errno where result is -1. */
void connected(int fd, const struct sockaddr *address, socklen_t length, long result, int error,
               const struct call *call);

#endif
