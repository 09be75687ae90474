/*
 * The words of the contract for the numbers in the code. Each list is made once, in names.c; a name that is not
 * there is NULL. Nothing here allocates or touches errno.
 */
#ifndef CLOSETRACE_NAMES_H
#define CLOSETRACE_NAMES_H

#include "event.h"

const char *op_name(enum event_op op);                /* "close" */
const char *fin_name(enum event_fin fin);             /* "sent" */
const char *why_name(enum event_why why);             /* "last-reference" */
const char *role_name(enum event_role role);          /* "client" */
const char *state_name(enum tcp_state state);         /* "ESTABLISHED" */
const char *how_name(int how);                        /* "SHUT_WR" */
const char *sigpipe_name(enum event_sigpipe sigpipe); /* "fatal" */
const char *last_name(enum event_last last);          /* "read" */
const char *reach_name(enum event_reach reach);       /* "environment" */
const char *reach_reason(enum event_reach reach);     /* "its environment had no LD_PRELOAD"; NULL: it is reached */
const char *errno_name(int error);                    /* "EPIPE"; NULL where Linux has none of that number */
const char *signal_name(int signal);                  /* "SIGPIPE"; NULL where unknown, "SIGRT" for real-time ones */

#endif
