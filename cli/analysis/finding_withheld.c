/*
 * fin-withheld: a process that had worked on the connection gave up its last descriptor, and for over a second somebody
 * who never touched it kept it open.
 *
 * Who worked on it: events say so (`used`). Where they do not (a process that was killed, or never loaded the library),
 * bytes that the connection sent after it was given up prove that somebody did.
 */
#include <stdio.h>
#include <string.h>

#include "analysis/finding.h"

static const uint64_t late_us = 1000000;

static bool still_has_it(const struct event *event) {
    for (unsigned i = 0; i < event->holders_named; i++)
        if (event->holders[i].pid == event->pid && event->holders[i].fd >= 0)
            return true;
    return event->holders_named == 0 && event->why == WHY_REFERENCES && event->op == OP_CLOSE;
}

static bool worked(const struct event *event) {
    return event->used == USED_YES || (event->used == USED_UNSET && event->has & HAS_TRAFFIC && event->sent > 0);
}

static uint64_t written(const struct event *event) {
    return event->sent + event->unsent;
}

static uint64_t taken(const struct event *event) {
    return event->received > event->unread ? event->received - event->unread : 0;
}

/* 0, 1 and 2 of a program that says nothing of itself: it may well have worked on it. */
static bool may_have_touched(const struct event *event, const struct event *before) {
    if (event->used == USED_YES)
        return true;
    if (event->has & HAS_TRAFFIC && before->has & HAS_TRAFFIC)
        return written(event) != written(before) || taken(event) > taken(before);
    return event->used == USED_UNSET && event->op != OP_RELEASE && (!(event->has & HAS_FD) || event->fd <= 2);
}

/*
 * A process of the program's own that was killed could not say whether it had worked on it. That nothing was written
 * since its peer can prove.
 */
static enum certainty certainty_of(const struct endpoint *endpoint) {
    const struct event *gave_up = &endpoint->gave_up->event;
    const struct endpoint *peer = endpoint->peer;
    const bool silent = endpoint->late && endpoint->late->event.used == USED_UNSET && endpoint->late->event.call &&
                        strncmp(endpoint->late->event.call, "SIG", 3) == 0;
    if (!silent || (peer && peer->has_traffic && gave_up->has & HAS_TRAFFIC && peer->received <= written(gave_up)))
        return CERTAIN;
    return POSSIBLE;
}

void withheld_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    struct kept **gave_up = &endpoint->gave_up;
    const bool ends = event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_EXEC || event->op == OP_RELEASE;
    if (!ends || event->fin == FIN_UNSET || endpoint->late || endpoint->listened)
        return;
    /* Shut down before: no FIN is owed any more. */
    if (endpoint->fin_us || endpoint->rst_us || event->fin == FIN_NONE || event->fin == FIN_ALREADY) {
        *gave_up = NULL;
        return;
    }
    if (event->fin == FIN_WITHHELD) {
        /* Who gave it up before is told of after: how it stood then is no news. */
        if (*gave_up && event->time_us < (*gave_up)->event.time_us)
            return;
        if (worked(event) && !still_has_it(event) && !is_injected(event))
            store_keep(analysis, gave_up, event);
        else if (event->used == USED_YES)
            *gave_up = NULL;
        return;
    }
    if (*gave_up && event->time_us > (*gave_up)->event.time_us + late_us && !is_injected(event) &&
        !may_have_touched(event, &(*gave_up)->event))
        store_keep(analysis, &endpoint->late, event);
}

static bool sent_it(const struct event *event) {
    return event->why == WHY_IN_FLIGHT;
}

/* It was another program than the one that gave it up, when it was seen to have it or at its end. */
static bool became_another(const struct endpoint *endpoint, const struct process *process,
                           const struct holder *holder) {
    const struct event *gave_up = &endpoint->gave_up->event;
    const struct event *late = endpoint->late ? &endpoint->late->event : NULL;
    return (process && process->execed) || strncmp(holder->comm, gave_up->comm, COMM_SIZE) != 0 ||
           (late && late->pid == holder->pid && strncmp(late->comm, gave_up->comm, COMM_SIZE) != 0);
}

/* How the process that had it last came by it. */
static const char *origin(struct analysis *analysis, const struct endpoint *endpoint, const struct holder *holder) {
    const struct event *gave_up = &endpoint->gave_up->event;
    const struct process *process = store_process(analysis, holder->pid, false);
    const bool another = became_another(endpoint, process, holder);
    if (sent_it(gave_up))
        return "sent to it";
    if (endpoint->opened && endpoint->opener == holder->pid)
        return endpoint->role == ROLE_SERVER ? "it accepted the connection" : "it made the connection";
    if (process && process->forked_us && process->forked_us <= gave_up->time_us)
        return another ? "forked, and left open across exec" : "forked";
    return another ? "left open across exec" : "inherited or sent to it";
}

static void say_holder(struct analysis *analysis, struct finding *finding, const struct endpoint *endpoint) {
    const enum certainty certainty = finding->certainty;
    const struct event *gave_up = &endpoint->gave_up->event;
    if (gave_up->holders_named == 0) {
        finding_say(analysis, finding, "kept open by %s",
                    sent_it(gave_up) ? "a copy in flight in a unix socket"
                                     : "a reference that is not a file descriptor");
        return;
    }
    const struct holder *holder = &gave_up->holders[0];
    char more[32] = "";
    if (gave_up->holder_count > 1)
        snprintf(more, sizeof more, " and %u more", gave_up->holder_count - 1);
    if (holder->fd < 0)
        finding_say(analysis, finding, "kept open by thread %d of %d %.*s, inside %s%s", holder->tid, holder->pid,
                    COMM_SIZE, holder->comm, holder->call ? holder->call : "a call", more);
    else
        finding_say(analysis, finding, "kept open by %d %.*s fd %d (%s)%s%s", holder->pid, COMM_SIZE, holder->comm,
                    holder->fd, origin(analysis, endpoint, holder), more,
                    certainty == CERTAIN ? ", which never touched it"
                                         : "; whether that process worked on it is not known");
}

/* It was seen to be withheld still, for so long, and nobody had moved a byte meanwhile. */
static const struct event *seen_withheld(const struct endpoint *endpoint) {
    const struct event *standing = endpoint->standing ? &endpoint->standing->event : NULL;
    const struct event *gave_up = &endpoint->gave_up->event;
    const bool is_so = standing && standing->fin == FIN_WITHHELD && standing->time_us >= gave_up->time_us + late_us &&
                       !endpoint->gone_us && written(standing) == written(gave_up) && taken(standing) <= taken(gave_up);
    return is_so ? standing : NULL;
}

/* When its FIN came is known from its own last end, or from its peer; that it has not come, from what was seen since.
 */
void withheld_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (!endpoint->gave_up || (!endpoint->late && endpoint->gone_us))
        return;
    const struct event *gave_up = &endpoint->gave_up->event;
    const struct endpoint *peer = endpoint->peer;
    const uint64_t seen = peer ? peer->eof_us : 0;
    const struct event *standing = endpoint->late || seen ? NULL : seen_withheld(endpoint);
    const uint64_t left = endpoint->late ? endpoint->late->event.time_us : standing ? standing->time_us : seen;
    if (left < gave_up->time_us + late_us)
        return;
    struct finding *finding = finding_add(analysis, FINDING_FIN_WITHHELD, certainty_of(endpoint), endpoint, gave_up);
    finding_say(analysis, finding, "%s gave up the last file descriptor of a process that had worked on it",
                words_of_call(gave_up));
    say_holder(analysis, finding, endpoint);
    if (standing)
        finding_say(analysis, finding, "%s later the FIN had still not been sent",
                    words_of_time(left - gave_up->time_us));
    else if (endpoint->late)
        finding_say(analysis, finding, "the %s was sent %s late: %s",
                    endpoint->late->event.fin == FIN_RESET ? "RST" : "FIN", words_of_time(left - gave_up->time_us),
                    words_of_call(&endpoint->late->event));
    else if (peer)
        finding_say(analysis, finding, "the FIN was read %s late, by %d %.*s", words_of_time(left - gave_up->time_us),
                    peer->opener, COMM_SIZE, peer->opener_comm);
}
