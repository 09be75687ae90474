#define _GNU_SOURCE
#include "model.h"

#include <stdlib.h>
#include <string.h>

enum { STACK = 1 << 16, LONGEST = 4096, SEEN_BITS = 24 };

struct actor {
    void *at; /* its stack pointer, while another runs */
    char *stack;
    uint64_t history; /* of what it has read */
    const char *next; /* the step before which it stands */
    int line;
    bool ended, dead;
};

/* One choice: which actor makes its step, or dies. */
struct choice {
    unsigned char taken, of;
};

static const struct model *model;
static struct actor actors[MODEL_ACTORS];
static unsigned actor_count, self, deaths, breaks;
static bool inside; /* an actor */
static void *explorer;

static struct choice way[LONGEST];
static unsigned way_length, at;
static struct {
    const char *what;
    unsigned actor;
    int line;
} account[LONGEST];

static uint64_t *seen;
static unsigned long states, orders;

/* Goes on where `to` stands, and keeps in *from where this is. Not swapcontext(), which makes a system call. */
void model_switch(void **from, void *to);
__asm__(".text\n"
        "model_switch:\n"
        "    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "    ret\n");

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
    return hash ^ hash >> 29;
}

void model_step(const char *what, int line) {
    struct actor *actor = &actors[self];
    if (!inside)
        return;
    actor->next = what;
    actor->line = line;
    actor->history = mix(actor->history, (uint64_t)line);
    model_switch(&actor->at, explorer);
}

void model_saw(uint64_t value) {
    if (inside)
        actors[self].history = mix(actors[self].history, value + 1);
}

bool model_is_dead(unsigned actor) {
    return actors[actor].dead;
}

unsigned model_self(void) {
    return self;
}

void model_fail(const char *condition, const char *file, int line) {
    printf("not ok %s: %s does not hold (%s:%d), after:\n", model->name, condition, file, line);
    for (unsigned i = 0; i < at; i++)
        printf("    %u: %s (line %d)\n", account[i].actor + 1, account[i].what, account[i].line);
    exit(1);
}

static void act(void) {
    model->actors[self]();
    actors[self].ended = true;
    model_switch(&actors[self].at, explorer);
}

/* A stack on which model_switch() comes to act(), aligned as at the begin of a function. */
static void *fresh(char *stack) {
    enum { SAVED = 6 };
    void **top = (void **)(void *)(stack + STACK) - 1;
    *--top = (void *)(uintptr_t)act;
    return top - SAVED;
}

static void begin(void) {
    memset(model->shared, 0, model->size);
    deaths = breaks = 0;
    at = 0;
    self = 0;
    if (model->begin)
        model->begin();
    for (actor_count = 0; actor_count < MODEL_ACTORS && model->actors[actor_count]; actor_count++) {
        struct actor *actor = &actors[actor_count];
        char *stack = actor->stack ? actor->stack : malloc(STACK);
        *actor = (struct actor){.at = fresh(stack), .stack = stack, .next = "begin"};
    }
}

static uint64_t state_now(void) {
    uint64_t hash = model->breaks ? mix(mix(deaths, breaks), self) : deaths;
    const unsigned char *bytes = model->shared;
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= model->size; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        hash = mix(hash, word);
    }
    for (; i < model->size; i++)
        hash = mix(hash, bytes[i]);
    for (unsigned a = 0; a < actor_count; a++)
        hash = mix(mix(hash, actors[a].history), (uint64_t)actors[a].ended << 1 | actors[a].dead);
    return hash | 1;
}

/* Whether it was gone on from here before. */
static bool is_known(uint64_t state) {
    const size_t mask = ((size_t)1 << SEEN_BITS) - 1;
    for (size_t i = state & mask;; i = (i + 1) & mask) {
        if (seen[i] == state)
            return true;
        if (seen[i])
            continue;
        if (++states > mask / 4 * 3) {
            printf("not ok %s: it has too many states\n", model->name);
            exit(1);
        }
        seen[i] = state;
        return false;
    }
}

static bool can_go(unsigned a) {
    return !actors[a].ended && !actors[a].dead;
}

static bool is_break(unsigned a) {
    return at > 0 && a != self && can_go(self);
}

static bool may_go(unsigned a) {
    return can_go(a) && !(model->breaks && breaks == model->breaks && is_break(a));
}

static bool can_die(unsigned a) {
    return can_go(a) && deaths < model->deaths && (!model->mortal || (model->mortal >> a & 1));
}

static unsigned count_choices(void) {
    unsigned count = 0;
    for (unsigned a = 0; a < actor_count; a++)
        count += (unsigned)may_go(a) + (unsigned)can_die(a);
    return count;
}

static void go(unsigned a) {
    account[at].actor = self = a;
    account[at].what = actors[a].next;
    account[at].line = actors[a].line;
    at++;
    inside = true;
    model_switch(&explorer, actors[a].at);
    inside = false;
}

static void die(unsigned a) {
    account[at].actor = a;
    account[at].what = "dies";
    account[at].line = actors[a].line;
    at++;
    actors[a].dead = true;
    deaths++;
}

static void take(unsigned choice) {
    for (unsigned a = 0; a < actor_count; a++) {
        if (may_go(a) && choice-- == 0) {
            breaks += is_break(a);
            go(a);
            return;
        }
        if (can_die(a) && choice-- == 0) {
            die(a);
            return;
        }
    }
}

/* One order, along the way as far as it goes, and on from there to the end, or to a state that is known. */
static void run_once(void) {
    begin();
    for (unsigned of; (of = count_choices()) > 0;) {
        if (at == LONGEST - 1)
            model_fail("it ends", __FILE__, __LINE__);
        if (at == way_length) {
            if (is_known(state_now()))
                return;
            way[way_length++] = (struct choice){.taken = 0, .of = (unsigned char)of};
        }
        take(way[at].taken);
    }
    orders++;
    if (model->end)
        model->end();
}

/* The next way: the last choice that can be made otherwise is. */
static bool turn_back(void) {
    while (way_length > 0 && way[way_length - 1].taken + 1 == way[way_length - 1].of)
        way_length--;
    if (way_length == 0)
        return false;
    way[way_length - 1].taken++;
    return true;
}

void model_run(const struct model *of) {
    model = of;
    seen = calloc((size_t)1 << SEEN_BITS, sizeof *seen);
    way_length = 0;
    states = orders = 0;
    do
        run_once();
    while (turn_back());
    printf("ok %s: %lu states, %lu ways to an end\n", model->name, states, orders);
    free(seen);
}
