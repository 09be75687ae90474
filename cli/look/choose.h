/* Which of the sockets are asked for: those of processes and their descendants, of addresses, that meet conditions. */
#ifndef CLOSETRACE_CHOOSE_H
#define CLOSETRACE_CHOOSE_H

#include "pure/condition.h"
#include "world.h"

enum { CHOICE_WORDS = 64 };

struct choice {
    unsigned pid_count, address_count, condition_count;
    int pids[CHOICE_WORDS];
    const char *addresses[CHOICE_WORDS]; /* as address_to_text() writes them */
    struct condition conditions[CHOICE_WORDS];
    int *family; /* of the processes, descendants included; in the order of their ids */
    size_t family_count, family_room;
};

/* PID, ADDR:PORT or KEY=VALUE. False: wrong says why. */
bool choice_read(struct choice *choice, const char *word, struct parse_error *wrong);
/* Before each look: who descends from the processes. */
void choice_find_family(struct choice *choice);
bool choice_takes(const struct choice *choice, const struct world *world, const struct sighting *sighting);
/* False: there is no such process; *pid is which. */
bool choice_has_processes(const struct choice *choice, int *pid);
void choice_forget(struct choice *choice);

#endif
