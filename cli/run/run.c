/* `closetrace run`: starts a program in a session of its own, and follows its tree to the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/machine.h"
#include "exit_status.h"
#include "blind.h"
#include "drain.h"
#include "killed.h"
#include "join_socket.h"
#include "orphans.h"
#include "parking.h"
#include "pass_on.h"
#include "processes.h"
#include "inherited.h"
#include "reach.h"
#include "run.h"
#include "run_options.h"
#include "run_summary.h"
#include "session_host.h"
#include "supervise/supervise.h"
#include "terminal/say.h"
#include "waker.h"
#include "watch.h"
#include "endings.h"

/* epoll's data: a place in the roster, or one of these. */
enum { FROM_SIGNALS = ROSTER_SIZE, FROM_WAKER, FROM_TELLER, FROM_SUPERVISION, FROM_JOIN };

struct run {
    struct inherited inherited;
    struct run_options options;
    struct session_host host;
    struct join_socket join;
    struct drain drain;
    struct processes processes;
    struct pass_on pass_on;
    struct waker waker;
    struct supervision supervision;
    bool supervises; /* no library in the tree: the kernel tells of its calls */
    struct settings settings;
    int epoll, signals;
    unsigned quiet_turns; /* of the loop, in which nothing came */
};

static const char usage[] =
    "Usage: closetrace run [OPTION...] [--] COMMAND [ARG...]\n"
    "\n"
    "Runs COMMAND, and shows how it and everything it starts end their TCP connections.\n"
    "\n"
    "  -o FILE           write the trace to FILE as JSON lines, instead of as text to standard error\n"
    "  --format=FORMAT   text or json\n"
    "  --messages=FILE   write closetrace's own messages (the summary, findings, what it could not trace) to FILE,\n"
    "                    so that standard error belongs to the program alone\n"
    "  -e trace=CLASSES  which events: open, refs, end, eof, data, all, none\n"
    "  -e only=CONDITIONS\n"
    "                    only sockets that meet the conditions: lport=8080\n"
    "  -e inject=RULE    break something: close:as=HOLD:hold=2s (may be repeated); fault= works as in strace\n"
    "  -e verify=off     predict, do not ask the kernel\n"
    "  -E VAR=VALUE      set a variable for COMMAND; -E VAR removes it\n"
    "  --seed N          the seed for random choices (prob=)\n"
    "  --no-wait         end when COMMAND ends, not when the last process of its tree does\n"
    "  --fail[=N]        exit with N (default 1) if COMMAND exited with 0 and there is a finding\n"
    "  --color=WHEN      use colours: auto (the default), always or never\n"
    "  --reach=HOW       how to see the calls: preload (the library, in each program), supervise (the kernel tells of\n"
    "                    calls that end connections: static programs, Go, musl), or auto, by COMMAND's file (default)\n"
    "  -f                accepted and ignored: closetrace always follows children\n"
    "\n"
    "Exits as COMMAND does: its status, 128+N for signal N, 126 and 127 as in a shell; 125 if closetrace itself\n"
    "failed.\n";

static int fail(const char *what) {
    say("closetrace run: %s: %s", what, strerror(errno));
    return EXIT_FAILED;
}

/* Beside the command, or where `make install` puts it. False: why not is said. */
static bool find_library(char *path, size_t size) {
    static const char *const places[] = {"libclosetrace.so", "../lib/libclosetrace.so",
                                         "../lib/" MACHINE_TRIPLET "/libclosetrace.so", "../lib64/libclosetrace.so"};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? memrchr(self, '/', (size_t)length) : NULL;
    if (!slash) {
        say("closetrace run: /proc/self/exe: %s: cannot find out where this command, and so libclosetrace.so, is",
            strerror(errno));
        return false;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if ((size_t)snprintf(path, size, "%.*s/%s", (int)(slash - self), self, places[i]) >= size)
            continue;
        if (access(path, R_OK) == 0)
            return true;
        if (errno != ENOENT && errno != ENOTDIR) {
            say("closetrace run: %s: %s", path, strerror(errno));
            return false;
        }
    }
    say("closetrace run: cannot find libclosetrace.so: it belongs beside the command (in %.*s), or in ../lib",
        slash > self ? (int)(slash - self) : 1, self);
    return false;
}

/* Characters that separate names in LD_PRELOAD cannot be in one. */
static bool set_preload(struct run *run) {
    char library[PATH_MAX], *resolved;
    const char *before = run_options_get(&run->options, "LD_PRELOAD");
    if (!find_library(library, sizeof library))
        return false;
    resolved = realpath(library, NULL);
    if (!resolved) {
        say("closetrace run: %s: %s", library, strerror(errno));
        return false;
    }
    if (strpbrk(resolved, " :")) {
        say("closetrace run: %s: LD_PRELOAD does not allow blanks or colons in a path: put the library elsewhere",
            resolved);
        return false;
    }
    char *value;
    if (asprintf(&value, "%s%s%s", before ? before : "", before && *before ? ":" : "", resolved) < 0)
        return false;
    run_options_set(&run->options, "LD_PRELOAD", value);
    free(value);
    free(resolved);
    return true;
}

static bool set_environment(struct run *run) {
    struct run_options *options = &run->options;
    if (run->supervises)
        return true;
    run_options_set(options, "CLOSETRACE_SESSION", run->host.where);
    run_options_set(options, "CLOSETRACE_FORMAT", options->json ? "json" : "text");
    if (options->output) {
        /* A percent sign in a name is two in the setting. */
        char *name = calloc(2, strlen(options->output) + 1), *to = name;
        for (const char *from = options->output; name && *from; *to++ = *from++)
            if (*from == '%')
                *to++ = '%';
        run_options_set(options, "CLOSETRACE_OUTPUT", name);
        free(name);
    }
    return set_preload(run);
}

/* 0, or the status to exit with. */
static int refuse_rules(const struct run *run, const char *program) {
    if (!run->supervises || !run->options.rules || !run->options.rules[0])
        return 0;
    say("closetrace run: -e inject=%s: %s is supervised, and rules are carried out in preloaded programs only",
        run->options.rules[0], program);
    return EXIT_FAILED;
}

/* 0, or the status to exit with: the program is not there, or cannot be traced. */
static int check_command(struct run *run, const char *name) {
    char path[PATH_MAX], program[PATH_MAX];
    if (!reach_find(name, path, sizeof path)) {
        int status = errno == ENOENT || errno == ENOTDIR ? 127 : 126;
        say("closetrace run: %s: %s", name, strerror(errno));
        return status;
    }
    const char *obstacle = reach_obstacle(path, program, sizeof program);
    const enum event_reach reach = reach_of_program(program);
    const bool can = reach != REACH_SET_UID && reach != REACH_ARCHITECTURE,
               wants = obstacle != NULL || reach == REACH_GO || run->options.reach == SUPERVISE;
    run->supervises = can && wants && run->options.reach != PRELOAD;
    if (!obstacle || run->supervises)
        return refuse_rules(run, program);
    say("closetrace run: %s cannot be traced: %s", program, obstacle);
    return EXIT_FAILED;
}

/* Children that end are seen in the loop; all other signals are the program's. */
static bool catch_signals(struct run *run) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = FROM_SIGNALS};
    pass_on_prepare(&run->pass_on);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 &&
           (run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) >= 0 &&
           epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->signals, &event) == 0;
}

/* What becomes of a child before it is the program: nothing but its environment differs from ours. */
static void become(struct run *run, int report) {
    if (run->options.program_stderr >= 0)
        dup2(run->options.program_stderr, STDERR_FILENO);
    inherited_give_back(&run->inherited);
    int reason = 0;
    if (run->supervises && !supervise_me(&run->supervision))
        reason = -errno;
    else
        execvpe(run->options.command[0], run->options.command, run->options.environment);
    if (!reason)
        reason = errno;
    ssize_t unused = write(report, &reason, sizeof reason);
    (void)unused;
    _exit(EXIT_FAILED);
}

/* 0, or the status to exit with. */
static int start(struct run *run) {
    int report[2], reason;
    if (pipe2(report, O_CLOEXEC) != 0)
        return fail("pipe");
    pid_t child = fork();
    if (child < 0)
        return fail("fork");
    if (child == 0)
        become(run, report[1]);
    close(report[1]);
    run->processes.command = child;
    waker_start(&run->waker);
    run->pass_on.waker = &run->waker;
    pass_on_begin(&run->pass_on, child);
    if (run->supervises)
        supervise_follow(&run->supervision);
    ssize_t got = read(report[0], &reason, sizeof reason);
    close(report[0]);
    if (got != sizeof reason)
        return 0;
    waitpid(child, NULL, 0);
    if (reason < 0) {
        say("closetrace run: %s cannot be supervised: seccomp(2): %s", run->options.command[0], strerror(-reason));
        return EXIT_FAILED;
    }
    say("closetrace run: %s: %s", run->options.command[0], strerror(reason));
    return reason == ENOENT ? 127 : 126;
}

/* False: the tree has ended. */
static bool take_signals(struct run *run) {
    struct signalfd_siginfo signal;
    while (read(run->signals, &signal, sizeof signal) == sizeof signal)
        ;
    return processes_reap(&run->processes);
}

/* alive: something of the tree is. What is parked may last longer; a second interrupt, then a first, ends the waiting.
 */
static bool is_over(const struct run *run, bool alive) {
    const unsigned interrupts = atomic_load(&run->pass_on.interrupts);
    const bool asked_to_end = atomic_load(&run->pass_on.asked_to_end);
    if (!alive && (parking_is_empty() || interrupts > 0 || asked_to_end))
        return true;
    return run->processes.command_ended && (run->options.no_wait || interrupts > 1 || asked_to_end);
}

/* Something is on its way, and nobody will say when it has come: in the ring, or out of our hands. */
static bool is_at_work(struct run *run) {
    return !ring_is_empty(&run->host.session->ring, &run->drain.reader) || drain_waits(&run->drain) ||
           processes_have_more(&run->processes);
}

/*
 * How long to sleep: not long where the ring would fill, nor where processes come, for there go some soon. Where a busy
 * server writes, longer: to wake up costs more than to read a few lines. When nothing has come for some turns, until
 * somebody wakes us.
 */
static int patience(struct run *run, size_t came, bool processes_came) {
    enum { MUCH = RING_SIZE / 16, BUSY = MUCH / 16, SHORT_MS = 2, LONG_MS = 20, BUSY_MS = 50, ASLEEP_MS = 1000 };
    enum { QUIET_TURNS = 5 };
    if (came > MUCH || processes_came)
        return SHORT_MS;
    run->quiet_turns = came > 0 ? 0 : run->quiet_turns + 1;
    if (run->quiet_turns <= QUIET_TURNS || !run->pass_on.by_thread)
        return came > BUSY ? BUSY_MS : LONG_MS;
    return waker_arm(&run->waker) && !is_at_work(run) ? ASLEEP_MS : LONG_MS;
}

/* What has to be looked at now and then is; milliseconds until the nearest of its times. */
static int look_around(void) {
    const int others[] = {parking_look(), watch_look(), orphans_look(), blind_look()};
    int wait = INT_MAX;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        wait = wait < others[i] ? wait : others[i];
    return wait;
}

/* What the last process let go of may still be on its way: its end is waited for, a moment. */
static void wait_for_orphans(void) {
    enum { TURNS = 60, TURN_US = 5000 };
    for (int i = 0; i < TURNS && (orphans_look(), orphans_are_there()); i++)
        usleep(TURN_US);
}

/* What has come so far is in the file by then, unless that takes nothing. */
static void tell_so_far(struct run *run) {
    enum { MOMENT_MS = 500 };
    if (!atomic_exchange(&run->pass_on.asked_to_tell, false))
        return;
    drain_ring(&run->drain, &run->host.session->ring, false);
    if (run->drain.writes)
        writer_await(&run->drain.writer, MOMENT_MS);
    run_summary_so_far(&run->drain, &run->options, run->epoll, FROM_TELLER);
}

/* Settings are for these programs too. */
static void take(const struct event *event, void *context) {
    struct run *run = context;
    if (!(event->has & HAS_SOCKET) ||
        ((run->settings.trace & TRACE_END) && conditions_hold(&run->settings.only, event)))
        drain_logged(&run->drain, event);
}

static void finish_supervision(struct run *run, bool alive) {
    if (!run->supervises)
        return;
    if (!alive)
        supervise_end();
    supervise_take(&run->supervision, take, run);
}

static void follow(struct run *run) {
    enum { EVENTS = 64 };
    struct epoll_event events[EVENTS];
    bool alive = true, others_came = true;
    for (size_t bytes = 0; !is_over(run, alive);) {
        const int soon = look_around(), wait = patience(run, bytes, others_came);
        const int count = epoll_wait(run->epoll, events, EVENTS, wait < soon ? wait : soon);
        waker_disarm(&run->waker);
        pass_on_look(&run->pass_on, run->processes.command_ended);
        join_socket_serve(&run->join, FROM_JOIN); /* who has asked, before who has ended */
        others_came = processes_look(&run->processes);
        bytes = drain_ring(&run->drain, &run->host.session->ring, false);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == FROM_SIGNALS)
                alive = take_signals(run) && alive;
            else if (events[i].data.u64 == FROM_WAKER)
                waker_heard(&run->waker);
            else if (events[i].data.u64 == FROM_SUPERVISION)
                supervise_take(&run->supervision, take, run);
            else if (events[i].data.u64 == FROM_TELLER)
                run_summary_hear(&run->drain);
            else if (join_socket_has(&run->join, events[i].data.u64))
                join_socket_serve(&run->join, events[i].data.u64);
            else
                processes_ended(&run->processes, (unsigned)events[i].data.u64);
        }
        if (alive)
            tell_so_far(run); /* else all of it is told soon */
        if (run->processes.command_ended && alive)
            alive = processes_reap(&run->processes);
    }
    drain_ring(&run->drain, &run->host.session->ring, false);
    finish_supervision(run, alive);
    wait_for_orphans();
    parking_end();
    drain_flush(&run->drain);
}

/* It has not told of its end: what it logged comes first. */
static void died(const struct death *death, void *context) {
    struct run *run = context;
    drain_ring(&run->drain, &run->host.session->ring, false);
    killed_report(death, &run->drain);
    drain_flush(&run->drain);
}

static void here(int pid, void *context) {
    (void)context;
    blind_begin(pid);
}

static void gone(int pid, void *context) {
    (void)context;
    killed_bury(pid);
    parking_process_ended(pid);
}

static void tell_what_was_missed(const struct run *run) {
    unsigned long long dropped = atomic_load(&run->host.session->ring.dropped),
                       torn = run->drain.reader.abandoned + run->drain.garbage;
    if (dropped)
        say("closetrace: %llu events were lost: they came faster than they could be written", dropped);
    if (torn)
        say("closetrace: %llu events were lost with the processes that wrote them, or were not valid", torn);
    if (run->drain.lost)
        say("closetrace: %llu events were lost: the trace could not be written", run->drain.lost);
}

static void came(int pid, void *context) {
    struct run *run = context;
    processes_heard(&run->processes, pid);
}

static bool open_join_socket(struct run *run) {
    run->join = (struct join_socket){.epoll = run->epoll,
                                     .tag = FROM_JOIN,
                                     .memory = run->host.memory,
                                     .came = came,
                                     .park = parking_take,
                                     .context = run};
    return join_socket_open(&run->join, run->host.name);
}

/* Where nobody takes the trace: whoever asks the command to end has it end. */
static bool is_enough(void *context) {
    struct run *run = context;
    pass_on_look(&run->pass_on, true);
    return atomic_load(&run->pass_on.asked_to_end) || atomic_load(&run->pass_on.interrupts) > 1;
}

static void finish_trace(struct run *run) {
    drain_finish(&run->drain, &run->host.session->ring, is_enough, run);
}

static bool begin_supervision(struct run *run) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = FROM_SUPERVISION};
    run->processes.supervised = run->supervises;
    return !run->supervises || (supervise_begin(&run->supervision) &&
                                epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->supervision.ready, &event) == 0);
}

static bool begin(struct run *run) {
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    return run->epoll >= 0 && session_host_begin(&run->host, &run->inherited) &&
           processes_begin(&run->processes, &run->host.session->roster, run->epoll) && begin_supervision(run) &&
           open_join_socket(run) && waker_begin(&run->waker, run->host.session, run->epoll, FROM_WAKER);
}

static void note(const struct event *event) {
    watch_note(event);
    orphans_note(event);
}

/* The settings were checked with the options. */
static void begin_watching(struct run *run) {
    struct settings_error error;
    settings_read((const char *const *)run->options.environment, &run->settings, &error);
    endings_begin();
    watch_begin(run->host.session, &run->drain, &run->settings);
    orphans_begin(&run->drain);
    run->drain.watch = note;
    run->pass_on.before_end = watch_before_signal;
}

int command_run(int argc, char **argv) {
    static struct run run;
    enum options_result read = run_options_read(argc, argv, &run.options);
    if (read == OPTIONS_HELP)
        return fputs(usage, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
    if (read == OPTIONS_WRONG)
        return EXIT_FAILED;
    int status = check_command(&run, run.options.command[0]);
    if (status)
        return status;
    inherited_keep(&run.inherited);
    if (!drain_begin(&run.drain, run.options.output, run.options.json))
        return fail(run.options.output ? run.options.output : "standard error");
    run_summary_begin(&run.drain, &run.options);
    if (!begin(&run))
        return fail(errno == EFBIG ? "cannot create the session: its memory is more than ulimit -f allows"
                                   : "cannot create the session");
    killed_begin(run.host.session);
    parking_begin(run.host.session, &run.drain);
    begin_watching(&run);
    run.processes.died = died;
    run.processes.here = here;
    run.processes.gone = gone;
    run.processes.context = &run;
    if (!set_environment(&run))
        return EXIT_FAILED;
    if (!catch_signals(&run))
        return fail("signals");
    status = start(&run);
    if (status)
        return status;
    follow(&run);
    session_host_end(&run.host);
    finish_trace(&run);
    if (!run_options_filter(&run.options))
        blind_end(&run.processes);
    const bool found = run_summary_end(&run.drain, &run.options, &run.processes);
    finish_trace(&run);
    tell_what_was_missed(&run);
    if (found && run.options.fail_status && run.processes.command_status == 0)
        return run.options.fail_status;
    return WIFSIGNALED(run.processes.command_status) ? 128 + WTERMSIG(run.processes.command_status)
                                                     : WEXITSTATUS(run.processes.command_status);
}
