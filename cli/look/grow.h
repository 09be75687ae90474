/* Arrays that grow. Where there is no more memory the command ends (125), as the analysis does. */
#ifndef CLOSETRACE_GROW_H
#define CLOSETRACE_GROW_H

#include <stddef.h>

/* A new last element of the array, not initialised. */
#define GROW(list, count, room) ((list) = grow((list), (count), &(room), sizeof *(list)), &(list)[(count)++])

void *grow(void *list, size_t count, size_t *room, size_t size);
void *zeroed(size_t count, size_t size);

#endif
