#define _GNU_SOURCE
#include "holders.h"

#include <errno.h>
#include <unistd.h>

#include "kernel/procfs.h"

/* A child that is being made cannot be looked at; nor can, perhaps, another user's. */
static bool may_be_there(const struct ledger_reference *it, uint64_t inode) {
    char path[PROC_PATH], link[PROC_LINK];
    if (it->pid <= 0)
        return true;
    proc_descriptor_path(path, sizeof path, it->pid, "/fd/", it->fd);
    const ssize_t length = readlink(path, link, sizeof link - 1);
    return length < 0 ? errno == EACCES || errno == EPERM : proc_inode_in(link, length) == inode;
}

static bool is_same(const struct ledger_reference *it, const struct ledger_reference *but) {
    return it->pid == but->pid && (but->fd < 0 || it->fd == but->fd);
}

static void name(const struct ledger_reference *it, struct event *event) {
    struct holder holder = {.pid = it->pid, .fd = it->fd};
    if (it->pid > 0 && event->holders_named < HOLDERS_SHOWN)
        proc_comm(it->pid, 0, holder.comm);
    event_add_holder(event, it->pid > 0 ? &holder : NULL);
}

unsigned holders_name(uint64_t cookie, uint64_t inode, const struct ledger_reference *but, struct event *event,
                      unsigned *leaving) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference it;
    unsigned staying = 0;
    *leaving = 0;
    while (ledger_next(cookie, &cursor, &it)) {
        if (is_same(&it, but))
            continue;
        if (it.leaving) {
            ++*leaving;
        } else if (may_be_there(&it, inode)) {
            name(&it, event);
            staying++;
        }
    }
    return staying;
}
