#define _GNU_SOURCE
#include "run_summary.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "analysis/analysis.h"
#include "exit_status.h"
#include "kernel/clock.h"
#include "kernel/older.h"
#include "show/output.h"
#include "show/report_words.h"
#include "rule_tally.h"
#include "input/trace.h"
#include "terminal/say.h"
#include "unreached.h"

struct account {
    struct analysis *analysis;
    struct rule_tally rules;
    unsigned char *seen; /* a bit a process id: there are events of it */
};

enum { PID_LIMIT = 1 << 22 }; /* the kernel's, proc_sys_kernel(5) */

static struct account *new_account(const struct run_options *options) {
    struct account *account = calloc(1, sizeof *account);
    if (!account || !rule_tally_begin(&account->rules, options->rules) || !(account->seen = calloc(1, PID_LIMIT / 8)))
        exit(EXIT_FAILED);
    account->analysis = analysis_new();
    return account;
}

static void account_event(const struct event *event, void *context) {
    struct account *account = context;
    if (event->pid > 0 && event->pid < PID_LIMIT)
        account->seen[event->pid / 8] |= (unsigned char)(1 << event->pid % 8);
    analysis_event(account->analysis, event);
    rule_tally_event(&account->rules, event);
}

static bool can_be_read_again(const struct drain *drain, const char *path) {
    struct stat status;
    return path && drain->json && fstat(drain->fd, &status) == 0 && S_ISREG(status.st_mode);
}

void run_summary_begin(struct drain *drain, const struct run_options *options) {
    if (can_be_read_again(drain, options->output))
        return;
    drain->each = account_event;
    drain->context = new_account(options);
}

/* grows: its last line may be under way. */
static struct account *read_again(const struct run_options *options, bool grows) {
    struct account *account = new_account(options);
    struct trace *trace = trace_open(options->output);
    struct event event;
    struct json_text line;
    analysis_source(account->analysis, grows ? clock_now() : 0);
    while (trace && trace_next(trace, grows, &event, &line) == TRACE_EVENT)
        account_event(&event, account);
    if (trace)
        trace_close(trace);
    return account;
}

static bool has_events(int pid, const void *context) {
    const struct account *account = context;
    return pid < PID_LIMIT && account->seen[pid / 8] >> pid % 8 & 1;
}

static void log_findings(struct drain *drain, const struct analysis *analysis) {
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next) {
        struct finding_lists lists;
        struct event event;
        if (finding->certainty == NOTE)
            continue;
        finding_event(finding, &event, &lists);
        if (drain->json)
            drain_event(drain, &event);
    }
    drain_flush(drain);
}

/* Whether there was anything to say of connections. */
static bool say_what_is_known(const struct analysis *analysis, bool all_is_in_file) {
    const struct report_style style = {.color = output_in_color(STDERR_FILENO), .most = 10};
    const struct totals totals = analysis_totals(analysis);
    const uint64_t tried = totals.connections + totals.refused + totals.timed_out + totals.failed;
    if (tried == 0 && !analysis_findings(analysis))
        return false;
    const uint64_t more = findings_print(analysis, stderr, &style, false);
    if (more > 0)
        say("closetrace: %llu more findings of other kinds%s", (unsigned long long)more,
            all_is_in_file ? ": closetrace report has them all" : "");
    fputs("closetrace: ", stderr);
    summary_print(analysis, stderr, 0);
    return true;
}

/*
 * In a process of its own, which has a copy of all that is known and takes as long as it needs: an analysis that has
 * ended takes no more events. Nothing of ours stays open in it, above all no connection that is parked; and where
 * nobody reads what it says it is over all the same.
 */
static void say_in_child(struct drain *drain, const struct run_options *options, int closed) {
    enum { SECONDS_MAX = 60 };
    sigset_t alarms;
    dup2(closed, STDIN_FILENO);
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    close(STDIN_FILENO);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    alarm(SECONDS_MAX);
    struct account *account = drain->each ? drain->context : read_again(options, true);
    analysis_source(account->analysis, clock_now());
    analysis_end(account->analysis);
    if (!say_what_is_known(account->analysis, options->output))
        say("closetrace: no TCP socket was seen so far; the session goes on");
    fflush(stderr);
    _exit(0);
}

/* What such a process says comes this way where the trace goes to standard error as well. */
static struct {
    int fd;
    size_t length;
    char text[1 << 16];
} heard = {.fd = -1};

static bool listen_to(int fd, int epoll, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    heard.fd = fd;
    heard.length = 0;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void run_summary_hear(struct drain *drain) {
    ssize_t got = -1;
    while (heard.fd >= 0 && (got = read(heard.fd, heard.text + heard.length, sizeof heard.text - heard.length)) > 0)
        heard.length += (size_t)got;
    if (heard.fd < 0 || (got < 0 && errno == EAGAIN))
        return;
    close(heard.fd);
    heard.fd = -1;
    drain_words(drain, heard.text, heard.length);
}

/* The child has closed what it does not need when this returns. */
static bool start_child(struct drain *drain, const struct run_options *options, int to) {
    char none;
    int closed[2];
    if (pipe2(closed, O_CLOEXEC) != 0)
        return false;
    const pid_t child = fork();
    if (child == 0) {
        if (to >= 0)
            dup2(to, STDERR_FILENO);
        say_in_child(drain, options, closed[1]);
    }
    close(closed[1]);
    const bool started = child > 0 && read(closed[0], &none, 1) == 0;
    close(closed[0]);
    return started;
}

void run_summary_so_far(struct drain *drain, const struct run_options *options, int epoll, uint64_t tag) {
    int said[2] = {-1, -1};
    bool started = false;
    if (heard.fd >= 0)
        return; /* it is about to be said */
    if (drain->fd != STDERR_FILENO)
        started = start_child(drain, options, -1);
    else if (pipe2(said, O_CLOEXEC | O_NONBLOCK) == 0 && listen_to(said[0], epoll, tag)) {
        fcntl(said[1], F_SETFL, 0);
        started = start_child(drain, options, said[1]);
        close(said[1]);
    }
    if (!started)
        say("closetrace: what is known so far cannot be said: %s", strerror(errno));
}

bool run_summary_end(struct drain *drain, const struct run_options *options, const struct processes *processes) {
    struct account *account = drain->each ? drain->context : read_again(options, false);
    const struct analysis *analysis = account->analysis;
    analysis_end(account->analysis);
    const struct totals totals = analysis_totals(analysis);
    if (!say_what_is_known(analysis, options->output) && totals.events == 0)
        say("closetrace: no TCP socket was seen%s", run_options_filter(options) ? " that meets trace= and only=" : "");
    rule_tally_say(&account->rules);
    unreached_say(processes, has_events, account);
    drain->each = NULL; /* the account is closed */
    if (drain->json)
        unreached_log(processes, has_events, account, drain);
    log_findings(drain, analysis);
    rule_tally_free(&account->rules);
    free(account->seen);
    analysis_free(account->analysis);
    free(account);
    return totals.findings > 0;
}
