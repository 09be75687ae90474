#define _GNU_SOURCE
#include "patient.h"
#include "kernel/older.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 4096 };

static struct patient *first;

/* Of which process a thread is, as it was found out last. */
static struct {
    int tid;
    struct patient *patient;
} threads[THREADS];

/* A number of /proc/PID/status; 0: the process or thread is gone. */
static uint64_t status_number(int id, const char *label) {
    char path[PROC_PATH], text[2048];
    uint64_t number = 0;
    proc_path(path, sizeof path, id, 0, "/status");
    const char *at = proc_read(path, text, sizeof text) > 0 ? text_behind(text, label) : NULL;
    return at && parse_number(at, &number) ? number : 0;
}

uint64_t patient_threads(const struct patient *patient) {
    return status_number(patient->pid, "\nThreads:\t");
}

static struct patient *known(int pid) {
    struct patient *patient = first;
    while (patient && patient->pid != pid)
        patient = patient->next;
    return patient;
}

static struct patient *admit(int pid) {
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct patient *patient = pidfd >= 0 ? malloc(sizeof *patient) : NULL;
    if (!patient) {
        if (pidfd >= 0)
            close(pidfd);
        return NULL;
    }
    *patient = (struct patient){.pid = pid, .pidfd = pidfd, .next = first};
    first = patient;
    return patient;
}

struct patient *patient_of(int tid) {
    const unsigned place = (unsigned)tid % THREADS;
    if (threads[place].tid == tid)
        return threads[place].patient;
    const int pid = (int)status_number(tid, "\nTgid:\t");
    struct patient *patient = pid ? known(pid) : NULL;
    if (pid && !patient)
        patient = admit(pid);
    threads[place].tid = patient ? tid : 0;
    threads[place].patient = patient;
    return patient;
}

struct patient *patient_next(const struct patient *patient) {
    return patient ? patient->next : first;
}

void patient_thread_ends(int tid) {
    const unsigned place = (unsigned)tid % THREADS;
    if (threads[place].tid == tid)
        threads[place].tid = 0;
}

void patient_ends(struct patient *patient) {
    struct patient **link = &first;
    while (*link && *link != patient)
        link = &(*link)->next;
    if (*link)
        *link = patient->next;
    for (unsigned i = 0; i < THREADS; i++)
        if (threads[i].tid && threads[i].patient == patient)
            threads[i].tid = 0;
    close(patient->pidfd);
    free(patient);
}

uint64_t patient_socket(const struct patient *patient, int fd) {
    char path[PROC_PATH], link[PROC_LINK];
    proc_descriptor_path(path, sizeof path, patient->pid, "/fd/", fd);
    return proc_inode_in(link, readlink(path, link, sizeof link - 1));
}

int patient_copy(const struct patient *patient, int fd) {
    return (int)syscall(SYS_pidfd_getfd, patient->pidfd, fd, 0);
}

static void name_caller(const char *file, uint64_t offset, struct event *event) {
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    const size_t length = strnlen(name, sizeof event->caller_module - 1);
    memcpy(event->caller_module, name, length);
    event->caller_module[length] = '\0';
    event->caller_offset = offset;
}

/* A program that is not position-independent stands where its file says: its addresses are the file's own. */
static bool stands_where_it_says(const struct patient *patient, const char *file) {
    char path[PROC_PATH], link[1024];
    Elf64_Ehdr header = {.e_type = ET_NONE};
    proc_path(path, sizeof path, patient->pid, 0, "/exe");
    const ssize_t length = readlink(path, link, sizeof link - 1);
    if (length <= 0 || strncmp(link, file, (size_t)length) != 0)
        return false;
    FILE *program = fopen(path, "re");
    if (program && fread(&header, sizeof header, 1, program) != 1)
        header.e_type = ET_NONE;
    if (program)
        fclose(program);
    return header.e_type == ET_EXEC;
}

/* proc(5), /proc/PID/maps. The offset is what addr2line(1) takes. */
bool patient_caller(const struct patient *patient, uint64_t address, struct event *event) {
    char path[PROC_PATH], line[1024], file[1024], before[1024] = "";
    uint64_t base = 0;
    bool found = false;
    proc_path(path, sizeof path, patient->pid, 0, "/maps");
    FILE *maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        uint64_t begin, end;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %1023[^\n]", &begin, &end, file) != 3 ||
            file[0] != '/')
            continue;
        if (strcmp(file, before) != 0)
            base = begin;
        memcpy(before, file, sizeof before);
        found = address >= begin && address < end;
    }
    if (maps)
        fclose(maps);
    if (found)
        name_caller(file, stands_where_it_says(patient, file) ? address : address - base, event);
    return found;
}
