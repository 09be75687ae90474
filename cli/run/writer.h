/*
 * What is written to a file that may not take it: a pipe that nobody reads, a terminal that was stopped. A thread
 * writes, one piece at a time, so that the command is not held up.
 */
#ifndef CLOSETRACE_WRITER_H
#define CLOSETRACE_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct writer {
    int fd;
    bool by_thread; /* false: none is to be had, and writer_give() writes */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex: */
    const char *text; /* NULL: there is nothing to do */
    size_t length;
    size_t written; /* of the last piece */
    int error;      /* why that was not all of it; 0: it was */
};

void writer_begin(struct writer *writer, int fd);

/* Whether the last piece has been written, or could not be: then *written and *error say how it went. */
bool writer_is_free(struct writer *writer, size_t *written, int *error);

/* The next piece; it is free. The text stays as it is until it is free again. */
void writer_give(struct writer *writer, const char *text, size_t length);

/* Waits so long, at most, until it is free. */
void writer_await(struct writer *writer, int milliseconds);

#endif
