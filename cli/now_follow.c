/* closetrace now -f: what changes, line by line. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "look/changes.h"
#include "look/destroyed.h"
#include "look/grow.h"
#include "look/rank.h"
#include "look/wrong.h"
#include "now_follow.h"
#include "pure/names.h"
#include "pure/render.h"
#include "show/output.h"
#include "show/standing_table.h"
#include "terminal/say.h"

struct follower {
    struct now *now;
    struct world *before, *world;
    int destroyed; /* where the kernel tells of what it destroys, or -1 */
    struct cookies gone_places;
    struct sighting *gone;
    size_t gone_count, gone_room;
    uint64_t *told; /* findings that were told: kind << 56 ^ cookie */
    size_t told_count, told_room;
    unsigned came, went, resets;
    bool found;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static void catch_interrupts(void) {
    const struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void note_destroyed(struct follower *follower) {
    struct sighting gone;
    while (follower->destroyed >= 0 && destroyed_next(follower->destroyed, &gone) == DESTROYED_ONE) {
        cookies_put(&follower->gone_places, gone.cookie, (uint32_t)follower->gone_count);
        *GROW(follower->gone, follower->gone_count, follower->gone_room) = gone;
    }
}

static uint64_t monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void wait_for_turn(struct follower *follower) {
    const uint64_t end = monotonic_us() + follower->now->every_us;
    for (uint64_t now; !interrupted && (now = monotonic_us()) < end; note_destroyed(follower)) {
        struct pollfd ready = {.fd = follower->destroyed, .events = POLLIN};
        const struct timespec left = {.tv_sec = (time_t)((end - now) / 1000000),
                                      .tv_nsec = (long)((end - now) % 1000000) * 1000};
        ppoll(&ready, 1, &left, NULL);
    }
}

/* How it ended, as far as the kernel told: what was left in its queues. */
static enum event_fin how_it_ended(const struct follower *follower, const struct sighting *before, uint64_t *unread,
                                   uint64_t *lost) {
    uint32_t place;
    *unread = *lost = 0;
    if (!before || before->state == STATE_LISTEN || !cookies_find(&follower->gone_places, before->cookie, &place))
        return FIN_UNSET;
    const struct sighting *gone = &follower->gone[place];
    *unread = destroyed_unread(gone, before);
    *lost = destroyed_lost(gone, before);
    return *unread > 0 || *lost > 0 ? FIN_RESET : gone->send_queue == 0 ? FIN_SENT : FIN_UNSET;
}

static void tell_json(const struct follower *follower, const struct sighting *before, const struct sighting *now) {
    char line[RENDER_LINE_MAX];
    struct event event;
    sighting_event(now ? follower->world : follower->before, now ? now : before, OP_NOW, &event);
    event.time_us = follower->world->time_us;
    event.state_before = before ? before->state : STATE_UNSET;
    if (!now) {
        event.state_after = STATE_CLOSE;
        event.would = FIN_UNSET;
        event.fin = how_it_ended(follower, before, &event.unread, &event.lost);
        event.verified = true;
        event.has |= event.fin == FIN_RESET ? HAS_LOST : 0;
    }
    const size_t length = render_json(&event, line, sizeof line);
    fwrite(line, 1, length, stdout);
}

static void tell_end(const struct follower *follower, const struct sighting *before) {
    uint64_t unread, lost;
    switch (how_it_ended(follower, before, &unread, &lost)) {
    case FIN_RESET:
        printf("by RST: %llu unread, %llu never acknowledged; was ", (unsigned long long)unread,
               (unsigned long long)lost);
        break;
    case FIN_SENT:
        fputs("in order; was ", stdout);
        break;
    default:
        fputs("was ", stdout);
        break;
    }
}

static void tell_text(const struct follower *follower, enum change change, const struct sighting *before,
                      const struct sighting *now) {
    static const char *const words[] = {"new", "now", "held", "gone"};
    const struct report_style style = {.width = output_width()};
    const uint64_t time_us = follower->world->time_us;
    const uint64_t second = (time_us / 1000000 + (uint64_t)(86400 + local_offset(time_us))) % 86400;
    printf("%02u:%02u:%02u %-4s ", (unsigned)(second / 3600), (unsigned)(second / 60 % 60), (unsigned)(second % 60),
           words[change]);
    if (change == CHANGE_STATE && before)
        printf("%s -> ", state_name(before->state));
    if (change == CHANGE_GONE && before)
        tell_end(follower, before);
    standing_print_one(now ? follower->world : follower->before, now ? now : before, stdout, &style);
}

static void tell(enum change change, const struct sighting *before, const struct sighting *now, void *context) {
    struct follower *follower = context;
    uint64_t unread, lost;
    follower->came += change == CHANGE_NEW;
    follower->went += change == CHANGE_GONE;
    follower->resets += change == CHANGE_GONE && how_it_ended(follower, before, &unread, &lost) == FIN_RESET;
    if (follower->now->json)
        tell_json(follower, before, now);
    else
        tell_text(follower, change, before, now);
}

static bool is_told(struct follower *follower, const struct finding *finding) {
    const uint64_t mark = (uint64_t)finding->kind << 56 ^ finding->endpoint->cookie;
    for (size_t i = 0; i < follower->told_count; i++)
        if (follower->told[i] == mark)
            return true;
    *GROW(follower->told, follower->told_count, follower->told_room) = mark;
    return false;
}

static void tell_findings(struct follower *follower, const bool *wanted, bool aloud) {
    const struct report_style style = {.color = output_in_color(STDOUT_FILENO), .width = output_width()};
    const struct sighting **rows = zeroed(follower->world->count + 1, sizeof(void *));
    size_t quiet;
    const size_t count = rank_rows(follower->world, wanted, rows, &quiet);
    struct analysis *analysis = wrong_find(follower->world, rows, count);
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next) {
        follower->found = follower->found || finding->certainty == CERTAIN;
        if (!is_told(follower, finding) && aloud)
            now_print_finding(finding, follower->now->json, &style);
    }
    analysis_free(analysis);
    free(rows);
}

static void forget_destroyed(struct follower *follower) {
    cookies_clear(&follower->gone_places);
    follower->gone_count = 0;
}

static bool take_turn(struct follower *follower, bool **wanted) {
    struct world next = {0};
    size_t count;
    wait_for_turn(follower);
    bool *wanted_next = interrupted ? NULL : now_look(&next, follower->now, &count);
    if (!wanted_next)
        return false;
    note_destroyed(follower);
    follower->before = follower->world;
    follower->world = &next;
    world_changes(follower->before, *wanted, &next, wanted_next, tell, follower);
    tell_findings(follower, wanted_next, true);
    forget_destroyed(follower);
    free(*wanted);
    *wanted = wanted_next;
    follower->world = follower->before;
    world_free(follower->world);
    *follower->world = next;
    return output_flush();
}

bool now_follow(struct now *now, struct world *world, bool *wanted) {
    struct follower follower = {.now = now, .world = world, .destroyed = destroyed_open()};
    catch_interrupts();
    tell_findings(&follower, wanted, false);
    while (!interrupted && take_turn(&follower, &wanted))
        ;
    say("closetrace now: %u appeared, %u ended, %u of them by an RST", follower.came, follower.went, follower.resets);
    if (follower.destroyed >= 0)
        close(follower.destroyed);
    forget_destroyed(&follower);
    free(follower.gone);
    free(follower.told);
    free(wanted);
    return follower.found;
}
