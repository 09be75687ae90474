#define _GNU_SOURCE
#include "descendant.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/procfs.h"

static int parent_of(int pid) {
    char path[PROC_PATH], text[512];
    int parent = 0;
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (proc_read(path, text, sizeof text) <= 0)
        return 0;
    const char *after_name = strrchr(text, ')');
    return after_name && sscanf(after_name + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool is_descendant(int pid) {
    enum { GENERATIONS_MAX = 4096 };
    for (int i = 0; pid > 0 && i < GENERATIONS_MAX; i++, pid = parent_of(pid))
        if (pid == getpid())
            return true;
    return false;
}
