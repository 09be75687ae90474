/*
 * What the kernel tells of the sockets that it destroys (look/destroyed.h), kept for a while by cookie: of the orphans,
 * and of what killed processes had. Where they come faster than a busy server should pay for, they are not listened to.
 */
#ifndef CLOSETRACE_ENDINGS_H
#define CLOSETRACE_ENDINGS_H

#include "look/destroyed.h"

void endings_begin(void);
/*
 * Takes what has come. wanted: an orphan is waited for whose end is worth the price. True: so much that it should be
 * asked again soon, before the kernel's queue is full.
 */
bool endings_look(bool wanted);
/* NULL: nothing is known of its end. Until the next look but a few. */
const struct sighting *endings_of(uint64_t cookie);

#endif
