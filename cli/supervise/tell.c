#define _GNU_SOURCE
#include "tell.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/clock.h"

enum { WORDS_MAX = 64, COMMAND_MAX = 2048 };

struct told {
    struct told *next;
    struct event event;
    const char *words[WORDS_MAX + 1];
    char command[COMMAND_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct told *first, **last = &first;
static int ready = -1;
static uint64_t lost;

void tell_begin(int eventfd) {
    ready = eventfd;
}

static void put(struct told *told) {
    const uint64_t one = 1;
    pthread_mutex_lock(&lock);
    *last = told;
    last = &told->next;
    pthread_mutex_unlock(&lock);
    if (write(ready, &one, sizeof one) < 0)
        return; /* it says so already */
}

static struct told *make(const struct event *event) {
    struct told *told = malloc(sizeof *told);
    if (!told) {
        lost++;
        return NULL;
    }
    told->next = NULL;
    told->event = *event;
    return told;
}

/* proc(5), /proc/PID/cmdline. */
static void read_command(struct told *told) {
    char path[PROC_PATH];
    unsigned count = 0;
    proc_path(path, sizeof path, told->event.pid, 0, "/cmdline");
    const long length = proc_read(path, told->command, sizeof told->command);
    for (const char *word = told->command; length > 0 && word < told->command + length; word += strlen(word) + 1) {
        if (count == WORDS_MAX)
            told->event.command_more++;
        else
            told->words[count++] = word;
    }
    told->words[count] = NULL;
    told->event.command = told->words;
}

void tell_start(struct patient *patient, const struct event *of) {
    struct event event;
    if (patient->told)
        return;
    event_init(&event, OP_START);
    event.time_us = of->time_us;
    event.pid = event.tid = of->pid;
    memcpy(event.comm, of->comm, sizeof event.comm);
    event.reach = REACH_SUPERVISED;
    struct told *told = make(&event);
    if (!told)
        return;
    read_command(told);
    put(told);
    patient->told = true;
}

static struct patient *patient_with(int pid) {
    struct patient *patient = patient_next(NULL);
    while (patient && patient->pid != pid)
        patient = patient_next(patient);
    return patient;
}

void tell(const struct event *event, const struct asking *asking) {
    struct patient *patient = patient_with(event->pid);
    struct told *told = make(event);
    if (patient) {
        patient->events += told != NULL;
        patient->asked += asking->asked;
        patient->contradicted += asking->contradicted;
        memcpy(patient->comm, event->comm, sizeof patient->comm);
    }
    if (told)
        put(told);
}

void tell_end(const struct patient *patient) {
    struct event event;
    if (!patient->told)
        return;
    event_init(&event, OP_END);
    event.time_us = clock_now();
    event.pid = event.tid = patient->pid;
    memcpy(event.comm, patient->comm, sizeof event.comm);
    event.events = patient->events;
    event.asked = patient->asked;
    event.contradicted = patient->contradicted;
    event.lost = lost;
    lost = 0;
    struct told *told = make(&event);
    if (told)
        put(told);
}

void tell_take(void (*take)(const struct event *event, void *context), void *context) {
    pthread_mutex_lock(&lock);
    struct told *told = first;
    first = NULL;
    last = &first;
    pthread_mutex_unlock(&lock);
    while (told) {
        struct told *next = told->next;
        take(&told->event, context);
        free(told);
        told = next;
    }
}
