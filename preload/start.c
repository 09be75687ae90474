/*
 * Before main: the settings are read once, the real functions found, the descriptors that were inherited looked
 * at. The library is initialized before all others (-z initfirst), so that their constructors find it ready.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "after_fork.h"
#include "calls/closing.h"
#include "calls/leaving.h"
#include "faults/fault.h"
#include "faults/park.h"
#include "refs/calls_under_way.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"
#include "output/log.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "pure/complaint.h"
#include "pure/names.h"
#include "kernel/raw.h"
#include "kernel/libc_real.h"
#include "refs/pending_releases.h"
#include "refs/proc_search.h"
#include "session/session.h"
#include "output/sink.h"
#include "refs/fd_table.h"
#include "output/timezone.h"

/* Not in every libc. */
extern int __cxa_at_quick_exit(void (*function)(void *), void *object) __attribute__((weak));
#pragma weak on_exit

enum { KEPT_SIZE = 131072, KEPT_MAX = 64 };

/* The environment may change; the settings point into a copy of their strings. False: there is too much. */
static bool keep_settings(char **environment, const char *kept[KEPT_MAX]) {
    static char text[KEPT_SIZE];
    size_t used = 0, count = 0;
    static const char prefix[] = "CLOSETRACE_";
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, prefix, sizeof prefix - 1) != 0)
            continue;
        size_t length = strlen(*environment) + 1;
        if (length > KEPT_SIZE - used || count + 1 == KEPT_MAX)
            return false;
        memcpy(text + used, *environment, length);
        kept[count++] = text + used;
        used += length;
    }
    kept[count] = NULL;
    return true;
}

static const char *variable(char **environment, const char *name) {
    size_t length = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static void refuse(const struct settings_error *error) {
    static char text[2048];
    sink_complain(text, settings_error_render(error, text, sizeof text));
}

/* From the kernel's random bytes for this process: no call, and nothing taken from the program's generators. */
static uint32_t random_seed(void) {
    const unsigned char *bytes = (const void *)getauxval(AT_RANDOM); // NOLINT(performance-no-int-to-ptr)
    uint32_t seed = 0;
    if (bytes)
        memcpy(&seed, bytes + 4, sizeof seed);
    return seed ^ (uint32_t)clock_now();
}

/* Runs last of all that exit() runs: it was registered before anything else was. */
static void at_exit(int status, void *unused) {
    (void)unused;
    const char *call = process_end_call();
    leaving_end(call ? call : "exit", process_end_caller(), status);
}

static void at_quick_end(void *unused) {
    (void)unused;
    leaving_end("quick_exit", process_end_caller(), process_end_status());
}

/* Sockets that were inherited: found now, so that they are known when the process ends. */
static void look_at_inherited(void) {
    struct identity identity;
    OWN_SCRATCH *scratch = scratch_take();
    if (!scratch)
        return;
    struct listing listing;
    if (search_own_begin(&listing, scratch)) {
        for (int fd; (fd = search_own_next(&listing)) >= 0;)
            table_find(fd, false, &identity);
        search_own_end(&listing);
    }
}

static void unwritable(const char *output, int reason, struct settings_error *error) {
    struct line message;
    const char *name = errno_name(reason);
    error->variable = "CLOSETRACE_OUTPUT";
    error->text = output;
    complain_about(&message, &error->parse, 0, "cannot be written (");
    line_text(&message, name ? name : "?");
    line_text(&message, "): expected stderr, or a file that can be appended to");
    complain(&message, &error->parse);
}

static bool read_settings(char **environment, struct settings *settings) {
    const char *kept[KEPT_MAX];
    struct settings_error error = {0};
    int reason = 0;
    if (!keep_settings(environment, kept)) {
        error.variable = "CLOSETRACE_*";
        error.text = "";
        static const char message[] = "the settings are longer than 128 kilobytes";
        memcpy(error.parse.message, message, sizeof message);
    } else if (settings_read(kept, settings, &error) &&
               fault_read_rules(settings->inject, settings->session != NULL, &error)) {
        bool joined = settings->session && session_join(settings->session);
        if (joined)
            sink_to_session(settings->output);
        if (joined || !settings->output || sink_to_file(settings->output, &reason))
            return true;
        unwritable(settings->output, reason, &error);
    }
    refuse(&error);
    return false;
}

/*
 * In a program that is run with privileges which its user has not (secure-execution mode, ld.so(8)) nothing that he
 * chose counts: no setting is read, no file opened. And of a libc that is not glibc nothing is known. Both programs run
 * as they would without us.
 */
static bool is_to_be_left_alone(void) {
    return !gnu_get_libc_version || getauxval(AT_SECURE);
}

__attribute__((constructor)) static void start(int argc, char **argv, char **environment) {
    struct settings settings;
    struct text_style style = {0};
    (void)argc;
    if (is_to_be_left_alone())
        return;
    real_start();
    clock_start();
    thread_start();
    process_start();
    sink_start();
    if (!read_settings(environment, &settings))
        return;
    if (settings.format == FORMAT_TEXT) {
        const char *no_color = variable(environment, "NO_COLOR");
        style.color = !settings.output && !(no_color && *no_color) && sink_is_terminal();
        style.utc_offset = timezone_offset(variable(environment, "TZ"), clock_now() / 1000000);
    }
    uint32_t seed = settings.seed_given ? settings.seed : random_seed();
    log_start(&settings, seed, (const char *const *)argv, &style);
    flight_start();
    calls_single_threaded = real_other("__libc_single_threaded");
    release_start(session_memory(SESSION_RELEASE, release_size()));
    ledger_start(session_memory(SESSION_LEDGER, ledger_size()), session_is_open());
    after_fork_start();
    fault_start(seed, &(struct fault_death){.comes = leaving_end, .survived = leaving_survived});
    park_start(closing_release);
    on_exit(at_exit, NULL);
    __cxa_at_quick_exit(at_quick_end, NULL);
    table_on = true;
    look_at_inherited();
}
