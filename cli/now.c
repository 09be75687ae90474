/* closetrace now: the connections that stand now, who holds them, and what is wrong; of programs that nobody traces. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "look/grow.h"
#include "look/rank.h"
#include "look/wrong.h"
#include "now_follow.h"
#include "pure/render.h"
#include "show/output.h"
#include "show/standing_table.h"
#include "terminal/say.h"

const char *const now_options[] = {"--color", "--fail", "--follow", "--format", "--netns", "--help", "-f", "-h", NULL};

static const char help[] =
    "Usage: closetrace now [OPTION...] [PID | ADDRESS:PORT | KEY=VALUE]...\n"
    "\n"
    "Shows the current TCP connections: who holds each one, what a close would do, and what is wrong. It works on\n"
    "any running program, without tracing or restarting it. What is wrong comes first.\n"
    "\n"
    "  PID             only what that process and its descendants hold\n"
    "  ADDRESS:PORT    only connections with that address at either end, and the listener there\n"
    "  KEY=VALUE       only sockets that meet the condition: state=CLOSE_WAIT, idle=10s+, role=server, lport=8080,\n"
    "                  comm=nginx\n"
    "  -f, --follow[=T]\n"
    "                  keep running, look once a second or every T, and show what changes\n"
    "  --format=FORMAT text or json (one object per socket, and one per finding)\n"
    "  --color=WHEN    use colours: auto (the default), always or never\n"
    "  --fail          exit 1 if there is a finding (possible findings and notes do not count)\n"
    "  --netns=PID     look into the network namespace of that process (needs root)\n"
    "  --help          show this help\n"
    "\n"
    "Exit status: 0 on success; 1 if no socket matches, or with --fail if there is a finding; 125 on other errors.\n";

static int look_failed(void) {
    say("closetrace now: cannot get the sockets from the kernel (inet_diag): %s", strerror(errno));
    return EXIT_FAILED;
}

static void print_json(const struct world *world, const bool *wanted) {
    char line[RENDER_LINE_MAX];
    struct event event;
    for (size_t i = 0; i < world->count; i++) {
        if (!wanted[i])
            continue;
        sighting_event(world, &world->list[i], OP_NOW, &event);
        const size_t length = render_json(&event, line, sizeof line);
        fwrite(line, 1, length, stdout);
    }
}

static void print_text(const struct world *world, const struct sighting *const *rows, size_t count, size_t quiet) {
    const struct report_style style = {.color = output_in_color(STDOUT_FILENO), .width = output_width()};
    if (count > 0)
        standing_print(world, rows, count, stdout, &style);
    if (quiet > 0)
        printf("and %zu in TIME_WAIT, which owe nothing\n", quiet);
}

static void print_findings(const struct analysis *analysis, bool json) {
    const struct report_style style = {.color = output_in_color(STDOUT_FILENO), .width = output_width()};
    if (!json && analysis_findings(analysis))
        putchar('\n');
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next)
        now_print_finding(finding, json, &style);
}

static void say_unseen(const struct world *world) {
    if (world->closed_to_us > 0)
        say("closetrace now: %u process%s could not be inspected: what %s hold%s is shown without a holder; root sees "
            "all",
            world->closed_to_us, world->closed_to_us == 1 ? "" : "es", world->closed_to_us == 1 ? "it" : "they",
            world->closed_to_us == 1 ? "s" : "");
}

/* Whether there is a finding. */
static bool show(struct world *world, const bool *wanted, bool json) {
    const struct sighting **rows = zeroed(world->count + 1, sizeof(void *));
    size_t quiet;
    const size_t count = rank_rows(world, wanted, rows, &quiet);
    struct analysis *analysis = wrong_find(world, rows, count);
    const bool found = analysis_totals(analysis).findings > 0;
    if (json)
        print_json(world, wanted);
    else
        print_text(world, rows, count, quiet);
    print_findings(analysis, json);
    analysis_free(analysis);
    free(rows);
    return found;
}

/* Once, and then what changes. */
static int look(struct now *now) {
    struct world world = {0};
    size_t count;
    bool *wanted = now_look(&world, now, &count);
    if (!wanted)
        return look_failed();
    bool found = show(&world, wanted, now->json);
    if (!output_flush())
        return EXIT_FAILED;
    say_unseen(&world);
    if (now->follow)
        found = now_follow(now, &world, wanted) || found;
    else
        free(wanted);
    world_free(&world);
    return (count == 0 && !now->follow) || (found && now->fail) ? EXIT_FOUND_WRONG : EXIT_OK;
}

/* Sockets belong to a namespace; /proc and its processes stay the same. */
static bool enter_netns(int pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
    if (!entered)
        say("closetrace now: cannot enter the network namespace of %d: %s", pid, strerror(errno));
    if (fd >= 0)
        close(fd);
    return entered;
}

/* Of the network namespace; 0: it cannot be seen. */
static ino_t netns_of(const char *process) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%s/ns/net", process);
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* The processes that are asked for are looked at where they are; all of them in one place. */
static bool enter_netns_of_choice(const struct choice *choice) {
    const ino_t here = netns_of("self");
    ino_t there = 0;
    for (unsigned i = 0; i < choice->pid_count; i++) {
        char pid[16];
        snprintf(pid, sizeof pid, "%d", choice->pids[i]);
        const ino_t its = netns_of(pid);
        if (its && there && its != there) {
            say("closetrace now: %d and %s are in different network namespaces: give one of them", choice->pids[0],
                pid);
            return false;
        }
        there = its ? its : there;
    }
    return !there || there == here || enter_netns(choice->pids[0]);
}

static bool read_netns(const char *text, int *pid) {
    char *end;
    const long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number <= 0 || number > 1 << 22) {
        say("closetrace now: --netns takes the id of a process: --netns=4711");
        return false;
    }
    *pid = (int)number;
    return true;
}

/* The value behind "NAME=", or NULL. */
static const char *value_of(const char *word, const char *name) {
    const size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static bool read_every(struct now *now, const char *text) {
    struct condition time;
    struct parse_error wrong;
    char condition[64];
    snprintf(condition, sizeof condition, "idle=%s", text);
    now->follow = true;
    if (condition_parse(condition, 0, strlen(condition), &time, &wrong) && time.first == time.last &&
        time.first >= 10000) {
        now->every_us = time.first;
        return true;
    }
    say("closetrace now: -f takes a time of 10ms or more: -f=0.5s");
    return false;
}

static bool read_format(struct now *now, const char *text) {
    now->json = strcmp(text, "json") == 0;
    if (now->json || strcmp(text, "text") == 0)
        return true;
    say("closetrace now: --format takes text or json");
    return false;
}

static bool read_word(struct now *now, const char *word) {
    struct parse_error wrong;
    if (choice_read(&now->choice, word, &wrong))
        return true;
    say("closetrace now: %s: %s", word, wrong.message);
    return false;
}

static bool read_option(struct now *now, const char *word) {
    const char *value;
    bool is_good;
    if (output_color_option("now", word, &is_good))
        return is_good;
    if (strcmp(word, "--fail") == 0)
        return now->fail = true;
    if (strcmp(word, "-f") == 0 || strcmp(word, "--follow") == 0)
        return now->follow = true;
    if ((value = value_of(word, "-f")) || (value = value_of(word, "--follow")))
        return read_every(now, value);
    if ((value = value_of(word, "--format")))
        return read_format(now, value);
    if ((value = value_of(word, "--netns")))
        return read_netns(value, &now->netns);
    unknown_option("now", word, now_options);
    return false;
}

static bool read_arguments(int argc, char **argv, struct now *now) {
    bool options = true;
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' ? !read_option(now, argv[i]) : !read_word(now, argv[i]))
            return false;
    }
    return true;
}

int command_now(int argc, char **argv) {
    static struct now now = {.every_us = 1000000};
    int gone;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return output_flush() ? EXIT_OK : EXIT_FAILED;
        }
    if (!read_arguments(argc, argv, &now) || (now.netns && !enter_netns(now.netns)))
        return EXIT_FAILED;
    if (!choice_has_processes(&now.choice, &gone)) {
        say("closetrace now: there is no process %d", gone);
        return EXIT_FAILED;
    }
    if (!now.netns && !enter_netns_of_choice(&now.choice))
        return EXIT_FAILED;
    const int status = look(&now);
    choice_forget(&now.choice);
    return status;
}
