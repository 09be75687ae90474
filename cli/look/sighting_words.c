#include "sighting_words.h"

#include <stdio.h>
#include <string.h>

void sighting_text(const struct sighting *sighting, char text[SIGHTING_TEXT_SIZE]) {
    char local[ADDRESS_TEXT_SIZE], remote[ADDRESS_TEXT_SIZE];
    address_to_text(&sighting->local, local);
    address_to_text(&sighting->remote, remote);
    if (sighting->state == STATE_LISTEN)
        snprintf(text, SIGHTING_TEXT_SIZE, "%s", local);
    else if (sighting->role == ROLE_SERVER)
        snprintf(text, SIGHTING_TEXT_SIZE, "%s -> %s", remote, local);
    else
        snprintf(text, SIGHTING_TEXT_SIZE, "%s -> %s", local, remote);
}

const char *duration_text(uint64_t milliseconds, char text[DURATION_TEXT_SIZE]) {
    const double seconds = (double)milliseconds / 1000;
    if (seconds < 120)
        snprintf(text, DURATION_TEXT_SIZE, "%.1f s", seconds);
    else if (seconds < 7200)
        snprintf(text, DURATION_TEXT_SIZE, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(text, DURATION_TEXT_SIZE, "%.1f h", seconds / 3600);
    else
        snprintf(text, DURATION_TEXT_SIZE, "%.0f d", seconds / 86400);
    return text;
}

void holding_text(const struct world *world, const struct holding *holding, char *text, size_t size) {
    const struct onlooker *process = &world->processes[holding->process];
    if (holding->fd >= 0)
        snprintf(text, size, "%d %s fd %d", process->pid, process->comm, holding->fd);
    else
        snprintf(text, size, "thread %d of %d %s, in %s", holding->tid, process->pid, process->comm, holding->call);
}

static void unknown_holder_text(const struct world *world, const struct sighting *sighting, char *text, size_t size) {
    if (sighting->inode == 0)
        snprintf(text, size, "%s", sighting_in_queue(sighting) ? "nobody: not accepted yet" : "nobody");
    else if (world->closed_to_us > 0)
        snprintf(text, size, "? (uid %u)", sighting->uid);
    else if (world->copies > 0)
        snprintf(text, size, "no file descriptor: a copy in flight in a unix socket?");
    else
        snprintf(text, size, "no file descriptor found");
}

void holders_text(const struct world *world, const struct sighting *sighting, char text[HOLDERS_TEXT_SIZE]) {
    enum { SHOWN = 3 };
    size_t used = 0;
    unsigned shown = 0;
    text[0] = '\0';
    if (sighting->holding == NOBODY)
        unknown_holder_text(world, sighting, text, HOLDERS_TEXT_SIZE);
    for (int32_t at = sighting->holding; at != NOBODY && shown < SHOWN; at = world->holdings[at].next, shown++) {
        char one[64];
        holding_text(world, &world->holdings[at], one, sizeof one);
        used += (size_t)snprintf(text + used, HOLDERS_TEXT_SIZE - used, "%s%s", shown ? ", " : "", one);
        if (used >= HOLDERS_TEXT_SIZE)
            return;
    }
    if (sighting->holders > shown && shown > 0)
        snprintf(text + used, HOLDERS_TEXT_SIZE - used, " and %u more", sighting->holders - shown);
}
