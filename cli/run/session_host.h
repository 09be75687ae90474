/*
 * The command's side of a session (preload/pure/session_layout.h): the memory, and the join socket at which programs
 * ask for it that cannot open it through /proc.
 */
#ifndef CLOSETRACE_SESSION_HOST_H
#define CLOSETRACE_SESSION_HOST_H

#include "inherited.h"
#include "pure/session_layout.h"

struct session_host {
    struct session *session;
    int memory;     /* the memfd */
    int listener;   /* readable: session_host_serve() */
    char where[96]; /* the value of CLOSETRACE_SESSION */
};

/* False: errno says why. */
bool session_host_begin(struct session_host *host, const struct inherited *inherited);

/*
 * Answers one program that asks at the join socket. Where it brings a connection to be parked, park() takes the
 * descriptor over before the program is told so.
 */
void session_host_serve(struct session_host *host,
                        void (*park)(int fd, int pid, const struct session_request *request));

/* Nobody reads the ring any more. */
void session_host_end(struct session_host *host);

#endif
