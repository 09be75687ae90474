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
    uint8_t mark, op, parts, role, fin, why, sigpipe, used, last, state_before, state_after, peer_state, holders_named;
    int32_t pid, tid;
    uint32_t has;
    uint64_t time_us, duration_us;
    char comm[COMM_SIZE];
    int32_t fd, error, status, how;
    int64_t ret;
    uint64_t cookie;
    struct address local, remote;
    uint32_t refs_before, refs_after, holder_count, pending;
    uint64_t unread, unsent, sent, received, unacked, idle_us, asked, after_fin_us, asked_after_us;
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

static void put_bytes(struct out *out, const void *bytes, size_t length) {
    if (length > (size_t)(out->end - out->at)) {
        out->cut = true;
        return;
    }
    memcpy(out->at, bytes, length);
    out->at += length;
}

static void put_string(struct out *out, const char *text) {
    if (text)
        put_bytes(out, text, strlen(text) + 1);
}

/* It may fill its place, without a NUL. */
static void put_caller(struct out *out, const char module[CALLER_MODULE_SIZE]) {
    size_t length = strnlen(module, CALLER_MODULE_SIZE);
    if (length == 0)
        return;
    put_bytes(out, module, length);
    put_bytes(out, "", 1);
}

static void put_holders(struct out *out, const struct event *event) {
    for (unsigned i = 0; i < event->holders_named; i++) {
        const struct holder *holder = &event->holders[i];
        struct packed_holder packed = {
            .pid = holder->pid, .fd = holder->fd, .tid = holder->tid, .has_call = holder->call != NULL};
        memcpy(packed.comm, holder->comm, COMM_SIZE);
        put_bytes(out, &packed, sizeof packed);
        put_string(out, holder->call);
    }
}

static uint8_t parts_of(const struct event *event) {
    return (uint8_t)((event->call ? PART_CALL : 0) | (event->caller_module[0] ? PART_CALLER : 0) |
                     (event->injected ? PART_INJECTED : 0) | (event->not_injected ? PART_NOT_INJECTED : 0) |
                     (event->not_injected_why ? PART_NOT_INJECTED_WHY : 0) | (event->refs_partial ? IS_PARTIAL : 0) |
                     (event->verified ? IS_VERIFIED : 0));
}

/* Those of an event's fields that are the same in a packed one. */
#define EACH_FIELD(FIELD) \
    FIELD(op)             \
    FIELD(role)           \
    FIELD(fin)            \
    FIELD(why)            \
    FIELD(sigpipe)        \
    FIELD(used)           \
    FIELD(last)           \
    FIELD(state_before)   \
    FIELD(state_after)    \
    FIELD(peer_state)     \
    FIELD(holders_named)  \
    FIELD(pid)            \
    FIELD(tid)            \
    FIELD(has)            \
    FIELD(time_us)        \
    FIELD(duration_us)    \
    FIELD(fd)             \
    FIELD(error)          \
    FIELD(status)         \
    FIELD(how)            \
    FIELD(ret)            \
    FIELD(cookie)         \
    FIELD(local)          \
    FIELD(remote)         \
    FIELD(refs_before)    \
    FIELD(refs_after)     \
    FIELD(holder_count)   \
    FIELD(pending)        \
    FIELD(unread)         \
    FIELD(unsent)         \
    FIELD(sent)           \
    FIELD(received)       \
    FIELD(unacked)        \
    FIELD(idle_us)        \
    FIELD(asked)          \
    FIELD(after_fin_us)   \
    FIELD(asked_after_us) \
    FIELD(child)          \
    FIELD(shared)         \
    FIELD(caller_offset)

static void put_fixed(struct out *out, const struct event *event) {
    struct packed packed = {.mark = MARK, .parts = parts_of(event)};
#define FIELD(name) packed.name = event->name;
    EACH_FIELD(FIELD)
#undef FIELD
    memcpy(packed.comm, event->comm, COMM_SIZE);
    put_bytes(out, &packed, sizeof packed);
}

static bool is_of_socket(enum event_op op) {
    return op != OP_START && op != OP_UNSEEN && op != OP_RULE && op != OP_FINDING && op != OP_END;
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

static bool has_sense(const struct packed *packed) {
    return packed->mark == MARK && packed->op < OP_COUNT && is_of_socket((enum event_op)packed->op) &&
           packed->role < ROLE_COUNT && packed->fin < FIN_COUNT && packed->why < WHY_COUNT &&
           packed->sigpipe < SIGPIPE_COUNT && packed->used <= USED_YES && packed->last < LAST_COUNT &&
           packed->state_before < STATE_COUNT && packed->state_after < STATE_COUNT &&
           packed->peer_state < STATE_COUNT && address_is_sound(&packed->local) && address_is_sound(&packed->remote) &&
           packed->holders_named <= HOLDERS_SHOWN && packed->holders_named <= packed->holder_count;
}

static void take_fixed(const struct packed *packed, struct event *event) {
    event_init(event, (enum event_op)packed->op);
#define FIELD(name) event->name = packed->name;
    EACH_FIELD(FIELD)
#undef FIELD
    event->refs_partial = packed->parts & IS_PARTIAL;
    event->verified = packed->parts & IS_VERIFIED;
    memcpy(event->comm, packed->comm, COMM_SIZE);
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
