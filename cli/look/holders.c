/*
 * The pass over /proc. What a process's folder is read with is no socket of TCP, so the search never finds itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "grow.h"
#include "kernel/procfs.h"
#include "passes.h"

enum { FOLDER_SIZE = 1 << 15 };

struct folder_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

bool folder_open(struct folder *folder, int at, const char *path) {
    folder->fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    folder->filled = folder->at = 0;
    if (folder->fd < 0)
        return false;
    if (!folder->buffer)
        folder->buffer = zeroed(1, FOLDER_SIZE);
    return true;
}

const char *folder_next(struct folder *folder, int *number) {
    for (;;) {
        if (folder->at >= folder->filled) {
            folder->filled = syscall(SYS_getdents64, folder->fd, folder->buffer, FOLDER_SIZE);
            folder->at = 0;
            if (folder->filled <= 0)
                return NULL;
        }
        const struct folder_entry *entry = (const void *)(folder->buffer + folder->at);
        folder->at += entry->length;
        if (entry->name[0] < '0' || entry->name[0] > '9')
            continue;
        *number = atoi(entry->name);
        return entry->name;
    }
}

void folder_close(struct folder *folder) {
    close(folder->fd);
    folder->fd = -1;
}

static size_t slot_of(const struct world *world, uint64_t inode) {
    return (size_t)(inode * 0x9E3779B97F4A7C15ULL >> 32) & (world->table_size - 1);
}

void index_by_inode(struct world *world) {
    world->table_size = 64;
    while (world->table_size < 2 * world->count)
        world->table_size *= 2;
    free(world->by_inode);
    world->by_inode = zeroed(world->table_size, sizeof *world->by_inode);
    for (size_t i = 0; i < world->count; i++) {
        size_t slot = slot_of(world, world->list[i].inode);
        if (world->list[i].inode == 0 || world->list[i].twice)
            continue;
        while (world->by_inode[slot])
            slot = (slot + 1) & (world->table_size - 1);
        world->by_inode[slot] = (uint32_t)i + 1;
    }
}

struct sighting *sighting_of_inode(const struct world *world, uint64_t inode) {
    for (size_t slot = slot_of(world, inode); world->by_inode[slot]; slot = (slot + 1) & (world->table_size - 1))
        if (world->list[world->by_inode[slot] - 1].inode == inode)
            return &world->list[world->by_inode[slot] - 1];
    return NULL;
}

static void read_process(struct onlooker *process, int pid) {
    char path[PROC_PATH], text[512];
    *process = (struct onlooker){.pid = pid};
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (proc_read(path, text, sizeof text) <= 0)
        return;
    const char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end || end < begin)
        return;
    size_t length = (size_t)(end - begin - 1);
    memcpy(process->comm, begin + 1, length < COMM_SIZE ? length : COMM_SIZE - 1);
    sscanf(end + 1, " %*c %d", &process->parent);
}

int process_parent(int pid) {
    struct onlooker process;
    read_process(&process, pid);
    return process.parent;
}

uint32_t onlooker_at(struct world *world, int pid) {
    if (world->process_count == 0 || world->processes[world->process_count - 1].pid != pid)
        read_process(GROW(world->processes, world->process_count, world->process_room), pid);
    return (uint32_t)world->process_count - 1;
}

/* In the order in which they are found: by process, then by descriptor. */
void sighting_hold(struct world *world, struct sighting *sighting, const struct holding *found) {
    int32_t place = (int32_t)world->holding_count;
    struct holding *holding = GROW(world->holdings, world->holding_count, world->holding_room);
    *holding = *found;
    holding->next = NOBODY;
    if (sighting->holding == NOBODY)
        sighting->holding = place;
    else
        world->holdings[sighting->holding_end].next = place;
    sighting->holding_end = place;
    sighting->holders++;
}

static void look_into(struct world *world, int pid, struct folder *descriptors) {
    char link[PROC_LINK];
    int fd;
    for (const char *name; (name = folder_next(descriptors, &fd));) {
        ssize_t length = readlinkat(descriptors->fd, name, link, sizeof link - 1);
        uint64_t inode = proc_inode_in(link, length);
        struct sighting *sighting = inode ? sighting_of_inode(world, inode) : NULL;
        if (sighting)
            sighting_hold(world, sighting, &(struct holding){.fd = fd, .process = onlooker_at(world, pid)});
    }
}

static bool is_forbidden(int error) {
    return error == EACCES || error == EPERM;
}

void world_find_holders(struct world *world, int but) {
    struct folder processes = {0}, descriptors = {0};
    char path[32];
    int pid;
    index_by_inode(world);
    if (!folder_open(&processes, AT_FDCWD, "/proc"))
        return;
    while (folder_next(&processes, &pid)) {
        if (pid == but)
            continue;
        snprintf(path, sizeof path, "%d/fd", pid);
        if (folder_open(&descriptors, processes.fd, path)) {
            look_into(world, pid, &descriptors);
            folder_close(&descriptors);
        } else if (is_forbidden(errno)) {
            world->closed_to_us++;
        }
    }
    folder_close(&processes);
    free(processes.buffer);
    free(descriptors.buffer);
}
