/* preload/kernel/thread.h for the models, whose actors have no threads. */
#ifndef MODEL_THREAD_H
#define MODEL_THREAD_H

#include <stdbool.h>

static inline bool thread_is_libcs(void) {
    return true;
}

#define THREAD_OWN(type, name)  \
    static type name##_of_all;  \
    static type *(name)(void) { \
        return &name##_of_all;  \
    }

#endif
