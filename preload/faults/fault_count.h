/* How often rules matched and fired: per thread, process, connection, session. Lock-free, async-signal-safe. */
#ifndef CLOSETRACE_FAULT_COUNT_H
#define CLOSETRACE_FAULT_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "pure/rule.h"

/* Before main. Where there is no memory to share, the session is the process. */
void fault_count_start(void);
void fault_count_forked(void);

/* One more match of rule number i; the count over the scope, from 1 on. cookie: of the connection, 0 if there is none.
 */
uint64_t fault_count_match(unsigned i, enum rule_scope scope, uint64_t cookie);

/* It was carried out (1), or was not after all (-1). */
void fault_count_fired(unsigned i, int change);

struct fault_counts {
    uint64_t matched, fired; /* in this process */
    bool fired_anywhere;     /* in any of the session, so far */
};
struct fault_counts fault_count_of(unsigned i);

#endif
