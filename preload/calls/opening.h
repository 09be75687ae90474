/*
 * The rules against the calls that make connections and references: connect, accept, dup, fork. errno is kept, save
 * where it is said to be set.
 */
#ifndef CLOSETRACE_OPENING_H
#define CLOSETRACE_OPENING_H

#include <sys/socket.h>

#include "faults/fault.h"
#include "refs/fd_table.h"

/*
 * Before the call: holds the rules of the family against it, and may wait or end the process. True: a rule takes the
 * call's place; *result is what the program sees, with errno. Where it does not, opening_result() comes last of all.
 * fd: of a fork -1; address: of a connect, else NULL. opening_is_off() costs a load and a compare where there is no
 * rule.
 */
bool opening_meets(enum rule_family family, int fd, const struct sockaddr *address, socklen_t length, struct call *call,
                   long *result);
static inline bool opening_is_off(enum rule_family family, int fd, struct call *call, long *result) {
    return fault_armed(family) && (fd < 0 || table_maybe_tcp(fd)) && opening_meets(family, fd, NULL, 0, call, result);
}
static inline int opening_result(const struct call *call, int result) {
    return (int)fault_result(call, result);
}

#endif
