#include "roster.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum { REACH = 128 };

static uint64_t word_of(int pid, enum roster_state state) {
    return (uint64_t)state << 32 | (uint32_t)pid;
}

/* The one place where an entry's word becomes a state and a process: anybody may have written it. */
static enum roster_state read_entry_word(uint64_t word, int *pid) {
    const uint64_t state = word >> 32;
    const uint32_t id = (uint32_t)word;
    *pid = id <= INT32_MAX ? (int)id : 0;
    return *pid > 0 && state < ROSTER_STATES ? (enum roster_state)state : ROSTER_FREE;
}

/* An entry is at most REACH from where its process id leads to. */
static struct roster_entry *entry_at(struct roster *roster, int pid, unsigned i) {
    return &roster->entries[((uint32_t)pid + i) % ROSTER_SIZE];
}

static struct roster_entry *find_entry(struct roster *roster, int pid) {
    for (unsigned i = 0; i < REACH; i++) {
        int there;
        read_entry_word(atomic_load(&entry_at(roster, pid, i)->word), &there);
        if (there == pid)
            return entry_at(roster, pid, i);
    }
    return NULL;
}

static void set_name(struct roster_entry *entry, const char *name) {
    char text[ROSTER_NAME] = "";
    if (!name)
        return;
    strncpy(text, name, sizeof text - 1);
    for (unsigned i = 0; i < ROSTER_NAME / 8; i++) {
        uint64_t part;
        memcpy(&part, text + i * sizeof part, sizeof part);
        atomic_store(&entry->name[i], part);
    }
}

static struct roster_entry *enter(struct roster *roster, int pid, enum roster_state state) {
    for (unsigned i = 0; i < REACH; i++) {
        uint64_t none = 0;
        struct roster_entry *entry = entry_at(roster, pid, i);
        if (atomic_compare_exchange_strong(&entry->word, &none, word_of(pid, state)))
            return entry;
    }
    atomic_fetch_add(&roster->no_place, 1);
    return NULL;
}

void roster_note(struct roster *roster, int pid, enum roster_state state, const char *name) {
    struct roster_entry *entry = find_entry(roster, pid);
    if (state == ROSTER_HERE)
        atomic_store(&roster->heard[pid % ROSTER_HEARD], pid);
    if (entry)
        atomic_store(&entry->word, word_of(pid, state));
    else
        entry = enter(roster, pid, state);
    if (entry)
        set_name(entry, name);
    atomic_fetch_add(&roster->changes, 1);
}

bool roster_has_heard(struct roster *roster, int pid) {
    return atomic_load(&roster->heard[pid % ROSTER_HEARD]) == pid;
}

void roster_note_spawned(struct roster *roster, int pid, enum roster_state state, const char *name) {
    if (!find_entry(roster, pid) && !roster_has_heard(roster, pid))
        roster_note(roster, pid, state, name);
}

bool roster_find(struct roster *roster, int pid, unsigned *i) {
    const struct roster_entry *entry = find_entry(roster, pid);
    if (entry)
        *i = (unsigned)(entry - roster->entries);
    return entry;
}

enum roster_state roster_at(struct roster *roster, unsigned i, int *pid, char name[ROSTER_NAME]) {
    struct roster_entry *entry = &roster->entries[i];
    const enum roster_state state = read_entry_word(atomic_load(&entry->word), pid);
    for (unsigned n = 0; n < ROSTER_NAME / 8; n++) {
        uint64_t part = atomic_load(&entry->name[n]);
        memcpy(name + n * sizeof part, &part, sizeof part);
    }
    name[ROSTER_NAME - 1] = '\0';
    return state;
}

enum roster_state roster_gone(struct roster *roster, int pid) {
    struct roster_entry *entry = find_entry(roster, pid);
    if (!entry)
        return ROSTER_FREE;
    return read_entry_word(atomic_exchange(&entry->word, 0), &pid);
}
