#include "ending.h"

#include "kernel/process.h"
#include "kernel/stop.h"
#include "kernel/tcp_socket.h"
#include "refs/end_claims.h"
#include "refs/ledger.h"
#include "refs/proc_search.h"

/* First that he has it no more, then that we have it still: the other way round it may have ended between the two. */
static bool is_stale(int fd, uint64_t cookie, const struct claimant *whose) {
    uint64_t inode = socket_inode(fd);
    if (inode == 0 || search_look(whose->pid, whose->fd, inode) != LOOKED_NOT_THERE)
        return false;
    STOP("ending: his is gone, ours not looked at");
    return socket_cookie(fd) == cookie;
}

void end_drop_stale(int fd, uint64_t cookie) {
    struct claimant whose;
    if (claims_taken(cookie, CLAIM_END, &whose) && is_stale(fd, cookie, &whose))
        claims_forget_end(cookie, &whose);
}

void end_give_way(int fd, uint64_t cookie, struct references *references, struct verdict *verdict) {
    struct claimant claimant = {.pid = process_id(), .fd = fd};
    enum end_is whose = claims_take_end(cookie, verdict->why == WHY_LAST_REFERENCE, &claimant);
    if (whose == END_IS_ANOTHERS) {
        search_row_name(&references->row, claimant.pid, claimant.fd, false);
        references->row.descriptors = claimant.losers;
    }
    *verdict = verdict_give_way(*verdict, whose);
}
