/* What the passes over /proc share. */
#ifndef CLOSETRACE_PASSES_H
#define CLOSETRACE_PASSES_H

#include "world.h"

/* A folder whose entries are numbers. Zeroed at first; the buffer is the caller's to free, and used again. */
struct folder {
    int fd;
    char *buffer;
    long filled, at;
};

bool folder_open(struct folder *folder, int at, const char *path);
const char *folder_next(struct folder *folder, int *number); /* NULL at the end */
void folder_close(struct folder *folder);

/* What /proc/PID/stat says; 0 where it cannot be read. */
int process_parent(int pid);

void index_by_inode(struct world *world);
struct sighting *sighting_of_inode(const struct world *world, uint64_t inode);

/* The process, which is the last that was asked for or a new one; its place in world.processes. */
uint32_t onlooker_at(struct world *world, int pid);
void sighting_hold(struct world *world, struct sighting *sighting, const struct holding *found);

#endif
