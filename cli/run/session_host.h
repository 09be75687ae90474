/* The command's side of a session (preload/pure/session_layout.h): its memory, and where programs find it. */
#ifndef CLOSETRACE_SESSION_HOST_H
#define CLOSETRACE_SESSION_HOST_H

#include "inherited.h"
#include "pure/session_layout.h"

struct session_host {
    struct session *session;
    int memory; /* the memfd; -1: the memory is a segment */
    char name[SESSION_NAME_SIZE];
    char where[96]; /* the value of CLOSETRACE_SESSION */
};

/* False: errno says why. */
bool session_host_begin(struct session_host *host, const struct inherited *inherited);

/* Nobody reads the ring any more. */
void session_host_end(struct session_host *host);

#endif
