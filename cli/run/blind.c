#define _GNU_SOURCE
#include "blind.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/procfs.h"
#include "reach.h"

enum { BLIND_MAX = 1024, DESCRIPTORS_MAX = 256 };

static const uint64_t first_us = 300000, last_us = 60000000;

struct program {
    int pid;
    bool had_tcp;
    enum event_reach reach;
    char name[ROSTER_NAME];
    uint64_t due_us, wait_us; /* wait_us 0: no more */
};

static struct program programs[BLIND_MAX];
static unsigned count;
static uint64_t next_us = UINT64_MAX;

/* Of a process's sockets: the first so many. No copy of a descriptor is made: it would hold the socket. */
struct sockets {
    uint64_t inodes[DESCRIPTORS_MAX];
    unsigned count;
};

static void find_sockets(int pid, struct sockets *sockets) {
    char path[PROC_PATH], link[PROC_LINK], buffer[4096];
    struct listing listing;
    sockets->count = 0;
    proc_path(path, sizeof path, pid, 0, "/fd");
    if (listing_open(&listing, path, buffer) < 0)
        return;
    for (int fd; sockets->count < DESCRIPTORS_MAX && (fd = listing_next(&listing)) >= 0;) {
        proc_descriptor_path(path, sizeof path, pid, "/fd/", fd);
        const uint64_t inode = proc_inode_in(link, readlink(path, link, sizeof link - 1));
        if (inode)
            sockets->inodes[sockets->count++] = inode;
    }
    listing_close(&listing);
}

static bool is_among(const struct sockets *sockets, uint64_t inode) {
    for (unsigned i = 0; i < sockets->count; i++)
        if (sockets->inodes[i] == inode)
            return true;
    return false;
}

/*
 * The table of its network namespace: proc(5), /proc/net/tcp; of a line the fourth word is the state, the tenth the
 * inode. Connections count: of a listener there is no event until it ends, but of a program that is never seen it will
 * not come at all.
 */
static bool are_in_table(int pid, const char *table, const struct sockets *sockets, bool listeners) {
    char path[PROC_PATH], line[512];
    bool found = false;
    proc_path(path, sizeof path, pid, 0, table);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        unsigned long long inode = 0;
        unsigned state = 0;
        found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %*s %*s %llu", &state, &inode) == 2 && inode > 0 &&
                (listeners || state != STATE_LISTEN) && is_among(sockets, inode);
    }
    if (file)
        fclose(file);
    return found;
}

static bool has_tcp(int pid, bool listeners) {
    struct sockets sockets;
    find_sockets(pid, &sockets);
    return sockets.count > 0 &&
           (are_in_table(pid, "/net/tcp", &sockets, listeners) || are_in_table(pid, "/net/tcp6", &sockets, listeners));
}

static void look_at(struct program *program, uint64_t now_us) {
    char comm[COMM_SIZE];
    proc_comm(program->pid, 0, comm);
    if (!comm[0]) {
        program->wait_us = 0; /* it has ended */
        return;
    }
    for (unsigned i = 0; i < ROSTER_NAME; i++)
        program->name[i] = i < COMM_SIZE ? comm[i] : '\0';
    program->reach = reach_of_process(program->pid) == REACH_GO ? REACH_GO : REACH_UNSET;
    program->had_tcp = has_tcp(program->pid, program->reach == REACH_GO);
    program->wait_us = program->had_tcp ? 0 : program->wait_us < last_us ? program->wait_us * 4 : last_us;
    program->due_us = now_us + program->wait_us;
}

void blind_begin(int pid) {
    struct program *program = programs;
    while (program < programs + count && program->pid != pid && (program->wait_us || program->had_tcp))
        program++;
    if (program == programs + BLIND_MAX)
        return;
    count += program == programs + count;
    *program = (struct program){.pid = pid, .due_us = clock_now() + first_us, .wait_us = first_us};
    next_us = program->due_us < next_us ? program->due_us : next_us;
}

/* The clock may be set back meanwhile. */
static int wait_ms(uint64_t now_us) {
    enum { NEVER_MS = 1000 };
    return next_us < now_us ? 0 : next_us - now_us < NEVER_MS * 1000 ? (int)((next_us - now_us) / 1000 + 1) : NEVER_MS;
}

int blind_look(void) {
    const uint64_t now_us = next_us == UINT64_MAX ? 0 : clock_now();
    if (now_us < next_us)
        return wait_ms(now_us);
    next_us = UINT64_MAX;
    for (struct program *program = programs; program < programs + count; program++) {
        if (program->wait_us && program->due_us <= now_us)
            look_at(program, now_us);
        if (program->wait_us && program->due_us < next_us)
            next_us = program->due_us;
    }
    return wait_ms(now_us);
}

void blind_end(struct processes *processes) {
    for (const struct program *program = programs; program < programs + count; program++)
        if (program->had_tcp && kill(program->pid, 0) != 0) /* one that goes on may tell of it yet */
            processes_unreached(processes, program->pid, program->reach, program->name);
}
