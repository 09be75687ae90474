#define _GNU_SOURCE
#include "reach.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "arch/machine.h"

enum { PATH_SIZE = 4096, INTERPRETERS_MAX = 5 };

static bool is_program(const char *path, int *reason) {
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    if (S_ISREG(status.st_mode) && access(path, X_OK) == 0)
        return true;
    *reason = EACCES;
    return false;
}

bool reach_find(const char *name, char *path, size_t size) {
    int reason = ENOENT;
    const char *folders = getenv("PATH");
    if (strchr(name, '/')) {
        if ((size_t)snprintf(path, size, "%s", name) < size && is_program(path, &reason))
            return true;
        errno = reason;
        return false;
    }
    for (const char *at = folders ? folders : "/bin:/usr/bin"; *name;) {
        size_t length = strcspn(at, ":");
        int written =
            length ? snprintf(path, size, "%.*s/%s", (int)length, at, name) : snprintf(path, size, "%s", name);
        if ((size_t)written < size && is_program(path, &reason))
            return true;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    errno = reason;
    return false;
}

/* The interpreter that a script's first line names. */
static bool interpreter_of(const char *text, size_t length, char *path, size_t size) {
    if (length < 3 || text[0] != '#' || text[1] != '!')
        return false;
    size_t begin = 2 + strspn(text + 2, " \t");
    size_t name = strcspn(text + begin, " \t\n");
    return name > 0 && (size_t)snprintf(path, size, "%.*s", (int)name, text + begin) < size;
}

/* The loader that the program asks for; false: none, it is static. */
static bool loader_of(int fd, const Elf64_Ehdr *header, char *loader, size_t size) {
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header->e_phoff + (Elf64_Off)i * header->e_phentsize);
        if (pread(fd, &segment, sizeof segment, at) != sizeof segment)
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        size_t length = segment.p_filesz < size ? segment.p_filesz : size - 1;
        ssize_t got = pread(fd, loader, length, (off_t)segment.p_offset);
        loader[got > 0 ? got : 0] = '\0';
        return got > 0;
    }
    return false;
}

/* Whether the loader will be in secure-execution mode, in which it preloads nothing of ours. */
static const char *privilege_of(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return NULL;
    if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
        return "it is set-user-ID: the loader preloads nothing into it";
    if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status.st_gid != getgid())
        return "it is set-group-ID: the loader preloads nothing into it";
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return "it has file capabilities: the loader preloads nothing into it";
    return NULL;
}

/* The loader may be run as a program, with another one as its argument (ld.so PROGRAM): it preloads as ever. */
static bool is_loader(const char *path) {
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, MACHINE_LOADER) == 0;
}

static bool leads_to_loader(const char *path) {
    char *resolved = realpath(path, NULL);
    const bool leads = is_loader(path) || (resolved && is_loader(resolved));
    free(resolved);
    return leads;
}

static const char *obstacle_of_elf(int fd, const Elf64_Ehdr *header, const char *path) {
    char loader[PATH_SIZE];
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != MACHINE_ELF)
        return "it is for a different architecture than the library (" MACHINE_NAME ")";
    if (!loader_of(fd, header, loader, sizeof loader))
        return leads_to_loader(path) ? NULL : "it is statically linked: there is no loader that could preload anything";
    if (!is_loader(loader))
        return "its loader is not that of glibc, which the library needs";
    return privilege_of(fd);
}

const char *reach_obstacle(const char *path, char *program, size_t size) {
    union {
        Elf64_Ehdr header;
        char text[PATH_SIZE];
    } begin;
    char interpreter[PATH_SIZE];
    snprintf(program, size, "%s", path);
    for (unsigned i = 0; i < INTERPRETERS_MAX; i++) {
        memset(&begin, 0, sizeof begin);
        int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* it may be a FIFO */
        ssize_t got = fd < 0 ? -1 : pread(fd, &begin, sizeof begin - 1, 0);
        if (got >= (ssize_t)sizeof begin.header && memcmp(begin.text, ELFMAG, SELFMAG) == 0) {
            const char *obstacle = obstacle_of_elf(fd, &begin.header, program);
            close(fd);
            return obstacle;
        }
        if (fd >= 0)
            close(fd);
        if (got <= 0 || !interpreter_of(begin.text, (size_t)got, interpreter, sizeof interpreter))
            return NULL;
        snprintf(program, size, "%s", interpreter);
    }
    return NULL;
}

/* Go's linker leaves a section of that name in every program that it makes. */
static bool is_go(int fd, const Elf64_Ehdr *header) {
    enum { SECTIONS_MAX = 256, NAMES_SIZE = 8192 };
    static char names[NAMES_SIZE];
    Elf64_Shdr section;
    const off_t at = (off_t)(header->e_shoff + (Elf64_Off)header->e_shstrndx * header->e_shentsize);
    if (header->e_shnum == 0 || header->e_shnum > SECTIONS_MAX ||
        pread(fd, &section, sizeof section, at) != sizeof section)
        return false;
    const size_t size = section.sh_size < NAMES_SIZE ? section.sh_size : NAMES_SIZE;
    const ssize_t got = pread(fd, names, size, (off_t)section.sh_offset);
    return got > 0 && memmem(names, (size_t)got, ".go.buildinfo", sizeof ".go.buildinfo") != NULL;
}

static enum event_reach reach_of_file(int fd) {
    Elf64_Ehdr header;
    char loader[PATH_SIZE];
    if (pread(fd, &header, sizeof header, 0) != sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return REACH_UNSET;
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != MACHINE_ELF)
        return REACH_ARCHITECTURE;
    if (is_go(fd, &header))
        return REACH_GO;
    if (!loader_of(fd, &header, loader, sizeof loader))
        return REACH_STATIC;
    const char *slash = strrchr(loader, '/');
    if (strcmp(slash ? slash + 1 : loader, MACHINE_LOADER) != 0)
        return REACH_OTHER_LIBC;
    return privilege_of(fd) ? REACH_SET_UID : REACH_ENVIRONMENT;
}

enum event_reach reach_of_program(const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const enum event_reach reach = fd < 0 ? REACH_UNSET : reach_of_file(fd);
    if (fd >= 0)
        close(fd);
    return reach;
}

enum event_reach reach_of_process(int pid) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    return reach_of_program(path);
}
