#include "pack.h"

#include <string.h>

enum { MARK = 1 };

/* Which strings there are, in this order; and what is a bool. */
enum part {
    PART_CALL = 1 << 0,
    PART_CALLER = 1 << 1,
    PART_INJECTED = 1 << 2,
    PART_NOT_INJECTED = 1 << 3,
    PART_NOT_INJECTED_WHY = 1 << 4,
    IS_PARTIAL = 1 << 5,
    IS_VERIFIED = 1 << 6,
};

struct packed {
    uint8_t mark, op, parts, role, fin, why, sigpipe, used, state_before, state_after, peer_state, holders_named;
    int32_t pid, tid;
    uint32_t has;
    uint64_t time_us, duration_us;
    char comm[COMM_SIZE];
    int32_t fd, error, status, how;
    int64_t ret;
    uint64_t cookie;
    struct address local, remote;
    uint32_t refs_before, refs_after, holder_count, pending;
    uint64_t unread, unsent, sent, received, unacked, idle_us;
    int32_t child;
    uint32_t shared;
    uint64_t caller_offset;
};

struct packed_holder {
    int32_t pid, fd, tid;
    uint8_t has_call;
    char comm[COMM_SIZE];
};

struct out {
    char *at, *end;
    bool cut;
};

static void put(struct out *out, const void *bytes, size_t length) {
    if (length > (size_t)(out->end - out->at)) {
        out->cut = true;
        return;
    }
    memcpy(out->at, bytes, length);
    out->at += length;
}

static void put_string(struct out *out, const char *text) {
    if (text)
        put(out, text, strlen(text) + 1);
}

/* It may fill its place, without a NUL. */
static void put_caller(struct out *out, const char module[CALLER_MODULE_SIZE]) {
    size_t length = strnlen(module, CALLER_MODULE_SIZE);
    if (length == 0)
        return;
    put(out, module, length);
    put(out, "", 1);
}

static void put_holders(struct out *out, const struct event *event) {
    for (unsigned i = 0; i < event->holders_named; i++) {
        const struct holder *holder = &event->holders[i];
        struct packed_holder packed = {
            .pid = holder->pid, .fd = holder->fd, .tid = holder->tid, .has_call = holder->call != NULL};
        memcpy(packed.comm, holder->comm, COMM_SIZE);
        put(out, &packed, sizeof packed);
        put_string(out, holder->call);
    }
}

static uint8_t parts_of(const struct event *event) {
    return (uint8_t)((event->call ? PART_CALL : 0) | (event->caller_module[0] ? PART_CALLER : 0) |
                     (event->injected ? PART_INJECTED : 0) | (event->not_injected ? PART_NOT_INJECTED : 0) |
                     (event->not_injected_why ? PART_NOT_INJECTED_WHY : 0) | (event->refs_partial ? IS_PARTIAL : 0) |
                     (event->verified ? IS_VERIFIED : 0));
}

static void put_fixed(struct out *out, const struct event *event) {
    struct packed packed = {
        .mark = MARK,
        .op = (uint8_t)event->op,
        .parts = parts_of(event),
        .role = (uint8_t)event->role,
        .fin = (uint8_t)event->fin,
        .why = (uint8_t)event->why,
        .sigpipe = (uint8_t)event->sigpipe,
        .used = (uint8_t)event->used,
        .state_before = (uint8_t)event->state_before,
        .state_after = (uint8_t)event->state_after,
        .peer_state = (uint8_t)event->peer_state,
        .holders_named = (uint8_t)event->holders_named,
        .pid = event->pid,
        .tid = event->tid,
        .has = event->has,
        .time_us = event->time_us,
        .duration_us = event->duration_us,
        .fd = event->fd,
        .error = event->error,
        .status = event->status,
        .how = event->how,
        .ret = event->ret,
        .cookie = event->cookie,
        .local = event->local,
        .remote = event->remote,
        .refs_before = event->refs_before,
        .refs_after = event->refs_after,
        .holder_count = event->holder_count,
        .pending = event->pending,
        .unread = event->unread,
        .unsent = event->unsent,
        .sent = event->sent,
        .received = event->received,
        .unacked = event->unacked,
        .idle_us = event->idle_us,
        .child = event->child,
        .shared = event->shared,
        .caller_offset = event->caller_offset,
    };
    memcpy(packed.comm, event->comm, COMM_SIZE);
    put(out, &packed, sizeof packed);
}

static bool is_of_socket(enum event_op op) {
    return op != OP_START && op != OP_RULE && op != OP_FINDING && op != OP_END;
}

size_t event_pack(const struct event *event, char *packed, size_t size) {
    struct out out = {.at = packed, .end = packed + size};
    if (!is_of_socket(event->op))
        return 0;
    put_fixed(&out, event);
    put_string(&out, event->call);
    put_caller(&out, event->caller_module);
    put_string(&out, event->injected);
    put_string(&out, event->not_injected);
    put_string(&out, event->not_injected_why);
    put_holders(&out, event);
    return out.cut ? 0 : (size_t)(out.at - packed);
}

struct in {
    const char *at, *end;
    bool wrong;
};

static void get(struct in *in, void *into, size_t length) {
    if (length > (size_t)(in->end - in->at)) {
        in->wrong = true;
        return;
    }
    memcpy(into, in->at, length);
    in->at += length;
}

static const char *get_string(struct in *in, bool is_there) {
    size_t left = (size_t)(in->end - in->at);
    const char *text = in->at, *nul = is_there && left > 0 ? memchr(text, '\0', left) : NULL;
    if (is_there && !nul)
        in->wrong = true;
    if (!nul)
        return NULL;
    in->at = nul + 1;
    return text;
}

static void get_caller(struct in *in, struct event *event, bool is_there) {
    const char *module = get_string(in, is_there);
    size_t length = module ? strlen(module) : 0;
    if (length > CALLER_MODULE_SIZE)
        in->wrong = true;
    else if (length > 0)
        memcpy(event->caller_module, module, length);
}

static void get_holders(struct in *in, struct event *event) {
    for (unsigned i = 0; i < event->holders_named && !in->wrong; i++) {
        struct packed_holder packed = {0};
        get(in, &packed, sizeof packed);
        event->holders[i] = (struct holder){.pid = packed.pid, .fd = packed.fd, .tid = packed.tid};
        memcpy(event->holders[i].comm, packed.comm, COMM_SIZE);
        event->holders[i].call = get_string(in, packed.has_call);
    }
}

static bool is_family(uint8_t family) {
    return family == ADDRESS_UNSET || family == ADDRESS_V4 || family == ADDRESS_V6;
}

static bool has_sense(const struct packed *packed) {
    return packed->mark == MARK && packed->op < OP_COUNT && is_of_socket((enum event_op)packed->op) &&
           packed->role < ROLE_COUNT && packed->fin < FIN_COUNT && packed->why < WHY_COUNT &&
           packed->sigpipe < SIGPIPE_COUNT && packed->used <= USED_YES && packed->state_before < STATE_COUNT &&
           packed->state_after < STATE_COUNT && packed->peer_state < STATE_COUNT && is_family(packed->local.family) &&
           is_family(packed->remote.family) && packed->holders_named <= HOLDERS_SHOWN &&
           packed->holders_named <= packed->holder_count;
}

static void take_fixed(const struct packed *packed, struct event *event) {
    event_init(event, (enum event_op)packed->op);
    event->role = (enum event_role)packed->role;
    event->fin = (enum event_fin)packed->fin;
    event->why = (enum event_why)packed->why;
    event->sigpipe = (enum event_sigpipe)packed->sigpipe;
    event->used = (enum event_used)packed->used;
    event->state_before = (enum tcp_state)packed->state_before;
    event->state_after = (enum tcp_state)packed->state_after;
    event->peer_state = (enum tcp_state)packed->peer_state;
    event->holders_named = packed->holders_named;
    event->refs_partial = packed->parts & IS_PARTIAL;
    event->verified = packed->parts & IS_VERIFIED;
    event->pid = packed->pid;
    event->tid = packed->tid;
    event->has = packed->has;
    event->time_us = packed->time_us;
    event->duration_us = packed->duration_us;
    memcpy(event->comm, packed->comm, COMM_SIZE);
    event->fd = packed->fd;
    event->error = packed->error;
    event->status = packed->status;
    event->how = packed->how;
    event->ret = packed->ret;
    event->cookie = packed->cookie;
    event->local = packed->local;
    event->remote = packed->remote;
    event->refs_before = packed->refs_before;
    event->refs_after = packed->refs_after;
    event->holder_count = packed->holder_count;
    event->pending = packed->pending;
    event->unread = packed->unread;
    event->unsent = packed->unsent;
    event->sent = packed->sent;
    event->received = packed->received;
    event->unacked = packed->unacked;
    event->idle_us = packed->idle_us;
    event->child = packed->child;
    event->shared = packed->shared;
    event->caller_offset = packed->caller_offset;
}

bool event_unpack(const char *bytes, size_t length, struct event *event) {
    struct in in = {.at = bytes, .end = bytes + length};
    struct packed packed = {0};
    get(&in, &packed, sizeof packed);
    if (in.wrong || !has_sense(&packed))
        return false;
    take_fixed(&packed, event);
    event->call = get_string(&in, packed.parts & PART_CALL);
    get_caller(&in, event, packed.parts & PART_CALLER);
    event->injected = get_string(&in, packed.parts & PART_INJECTED);
    event->not_injected = get_string(&in, packed.parts & PART_NOT_INJECTED);
    event->not_injected_why = get_string(&in, packed.parts & PART_NOT_INJECTED_WHY);
    get_holders(&in, event);
    return !in.wrong && in.at == in.end;
}
