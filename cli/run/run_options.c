#define _GNU_SOURCE
#include "run_options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "exit_status.h"
#include "kernel/regular_file.h"
#include "pure/complaint.h"
#include "pure/rules.h"
#include "show/output.h"
#include "terminal/say.h"

extern char **environ;

/* What becomes of an option. */
enum option {
    OPTION_OUTPUT,
    OPTION_MESSAGES,
    OPTION_FORMAT,
    OPTION_EXPRESSION,
    OPTION_ENVIRONMENT,
    OPTION_SEED,
    OPTION_NO_WAIT,
    OPTION_FAIL,
    OPTION_COLOR,
    OPTION_REACH,
    OPTION_FOLLOW,
    OPTION_HELP,
    OPTION_ATTACH,
    OPTION_COUNT
};

/* OPTIONAL: behind a = alone. */
enum takes { NO_VALUE = false, VALUE = true, OPTIONAL };

static const struct {
    const char *name;
    enum takes takes_value;
    enum option option;
} options_known[] = {
    {"-o", true, OPTION_OUTPUT},         {"--output", true, OPTION_OUTPUT},       {"--format", true, OPTION_FORMAT},
    {"-e", true, OPTION_EXPRESSION},     {"-E", true, OPTION_ENVIRONMENT},        {"--env", true, OPTION_ENVIRONMENT},
    {"--seed", true, OPTION_SEED},       {"--no-wait", false, OPTION_NO_WAIT},    {"-f", false, OPTION_FOLLOW},
    {"-ff", false, OPTION_FOLLOW},       {"--help", false, OPTION_HELP},          {"-h", false, OPTION_HELP},
    {"-p", true, OPTION_ATTACH},         {"--attach", true, OPTION_ATTACH},       {"--messages", true, OPTION_MESSAGES},
    {"-c", false, OPTION_COUNT},         {"--summary-only", false, OPTION_COUNT}, {"--fail", OPTIONAL, OPTION_FAIL},
    {"--color", OPTIONAL, OPTION_COLOR}, {"--reach", true, OPTION_REACH},
};

enum { OPTIONS_KNOWN = sizeof options_known / sizeof *options_known };

#define wrong(...) (say("closetrace run: " __VA_ARGS__), false)

static void *need(void *memory) {
    if (memory)
        return memory;
    say("closetrace: out of memory");
    exit(EXIT_FAILED);
}

static char *join(const char *a, const char *between, const char *b) {
    char *text;
    return need(asprintf(&text, "%s%s%s", a, between, b) < 0 ? NULL : text);
}

/* The place of the variable's entry; the end if there is none. */
static size_t entry_of(const struct run_options *options, const char *name) {
    size_t length = strlen(name), i = 0;
    for (; i < options->environment_count; i++)
        if (strncmp(options->environment[i], name, length) == 0 && options->environment[i][length] == '=')
            break;
    return i;
}

void run_options_set(struct run_options *options, const char *name, const char *value) {
    size_t place = entry_of(options, name);
    if (!value) {
        if (place < options->environment_count)
            options->environment[place] = options->environment[--options->environment_count];
    } else {
        if (place == options->environment_count) {
            options->environment = need(realloc(options->environment, (place + 2) * sizeof(char *)));
            options->environment_count++;
        }
        options->environment[place] = join(name, "=", value);
    }
    options->environment[options->environment_count] = NULL;
}

const char *run_options_get(const struct run_options *options, const char *name) {
    size_t place = entry_of(options, name);
    return place < options->environment_count ? strchr(options->environment[place], '=') + 1 : NULL;
}

static void copy_environment(struct run_options *options) {
    size_t count = 0;
    while (environ[count])
        count++;
    options->environment = need(malloc((count + 1) * sizeof(char *)));
    memcpy(options->environment, environ, (count + 1) * sizeof(char *));
    options->environment_count = count;
}

static bool set_output(struct run_options *options, const char *value) {
    char folder[PATH_MAX];
    if (value[0] == '\0')
        return wrong("-o: a file name is missing");
    if (value[0] == '|' || value[0] == '!')
        return wrong("-o \"%s\": a trace goes into a file; print it from there (closetrace print FILE -f)", value);
    if (value[0] == '/')
        options->output = value;
    else if (getcwd(folder, sizeof folder))
        options->output = join(folder, "/", value);
    else
        return wrong("the current directory has no name: %s", strerror(errno));
    return true;
}

/* Standard error is the file from here on; the program's own is kept for it. */
static bool set_messages(struct run_options *options, const char *value) {
    int file = open(value, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file >= 0 && options->program_stderr < 0)
        options->program_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (file < 0 || options->program_stderr < 0 || dup2(file, STDERR_FILENO) < 0) {
        return wrong("--messages %s: %s", value, strerror(errno));
    }
    close(file);
    return true;
}

static bool set_format(struct run_options *options, const char *value, bool *given) {
    if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
        return wrong("--format=%s: expected text or json", value);
    options->json = value[0] == 'j';
    *given = true;
    return true;
}

static bool set_variable(struct run_options *options, const char *value) {
    const char *equals = strchr(value, '=');
    if (equals == value || !*value)
        return wrong("-E \"%s\": expected VAR=VALUE, or VAR to remove it", value);
    char *name = need(strndup(value, equals ? (size_t)(equals - value) : strlen(value)));
    run_options_set(options, name, equals ? equals + 1 : NULL);
    free(name);
    return true;
}

/* strace's fault= is inject= with an error, if none is said. */
static char *fault_rule(const char *rule) {
    bool acts = strstr(rule, ":error=") || strstr(rule, ":retval=");
    return join(rule, acts ? "" : ":error=ENOSYS", "");
}

static bool add_rule(struct run_options *options, const char *rule) {
    const char *before = run_options_get(options, "CLOSETRACE_INJECT");
    run_options_set(options, "CLOSETRACE_INJECT", before && *before ? join(before, ";", rule) : rule);
    return true;
}

static const char *const expressions[] = {"trace", "only", "inject", "fault", "verify"};

const char *run_expression(unsigned i) {
    return i < sizeof expressions / sizeof *expressions ? expressions[i] : NULL;
}

static bool is_called(const char *expression, size_t length, const char *name) {
    return strlen(name) == length && strncmp(expression, name, length) == 0;
}

static bool set_expression(struct run_options *options, const char *expression) {
    size_t length = strcspn(expression, "=");
    const char *value = expression + length + 1;
    if (expression[length] == '\0')
        return wrong("-e \"%s\": expected trace=, only=, inject=, fault= or verify=", expression);
    if (is_called(expression, length, "trace"))
        run_options_set(options, "CLOSETRACE_TRACE", value);
    else if (is_called(expression, length, "only"))
        run_options_set(options, "CLOSETRACE_ONLY", value);
    else if (is_called(expression, length, "verify"))
        run_options_set(options, "CLOSETRACE_VERIFY", value);
    else if (is_called(expression, length, "inject"))
        return add_rule(options, value);
    else if (is_called(expression, length, "fault"))
        return add_rule(options, fault_rule(value));
    else {
        const char *nearest =
            nearest_word(expression, length, run_expression, sizeof expressions / sizeof *expressions);
        return wrong("-e %.*s=: there is no such expression%s%s%s: trace, only, inject, fault, verify", (int)length,
                     expression, nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
    }
    return true;
}

const char *run_option(unsigned i) {
    return i < OPTIONS_KNOWN ? options_known[i].name : NULL;
}

static bool unknown(const char *argument) {
    const char *nearest = nearest_word(argument, strcspn(argument, "="), run_option, OPTIONS_KNOWN);
    if (nearest)
        return wrong("there is no option %s, did you mean %s?", argument, nearest);
    return wrong("there is no option %s; closetrace run --help lists them", argument);
}

/* Which option the argument is, and its value where it stands in the same one: --seed=7, -e, -etrace=... */
static int find_option(const char *argument, const char **value) {
    *value = NULL;
    for (int i = 0; i < OPTIONS_KNOWN; i++) {
        const char *name = options_known[i].name;
        size_t length = strlen(name);
        bool is_long = name[1] == '-';
        if (strcmp(argument, name) == 0)
            return i;
        if (!options_known[i].takes_value || strncmp(argument, name, length) != 0)
            continue;
        if (!is_long || argument[length] == '=') {
            *value = argument + length + is_long;
            return i;
        }
    }
    return -1;
}

struct reading {
    struct run_options *options;
    bool format_given, help;
};

/* What a shell can tell from the command's own failures, and from no failure. */
static bool read_fail(struct run_options *options, const char *text) {
    char *end;
    const long status = strtol(*text ? text : "1", &end, 10);
    if (*end != '\0' || status < 1 || status > 124)
        return wrong("--fail=%s: expected an exit status from 1 to 124", text);
    options->fail_status = (int)status;
    return true;
}

static bool read_reach(struct run_options *options, const char *text) {
    static const char *const names[] = {[AUTO] = "auto", [PRELOAD] = "preload", [SUPERVISE] = "supervise"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            options->reach = (enum run_reach)i;
            return true;
        }
    return wrong("--reach=%s: auto, preload or supervise would be right", text);
}

static bool carry_out(struct reading *reading, enum option option, const char *value) {
    struct run_options *options = reading->options;
    switch (option) {
    case OPTION_OUTPUT:
        return set_output(options, value);
    case OPTION_MESSAGES:
        return set_messages(options, value);
    case OPTION_FORMAT:
        return set_format(options, value, &reading->format_given);
    case OPTION_EXPRESSION:
        return set_expression(options, value);
    case OPTION_ENVIRONMENT:
        return set_variable(options, value);
    case OPTION_SEED:
        run_options_set(options, "CLOSETRACE_SEED", value);
        return true;
    case OPTION_NO_WAIT:
        options->no_wait = true;
        return true;
    case OPTION_FAIL:
        return read_fail(reading->options, value);
    case OPTION_COLOR:
        return output_choose_color("run", *value ? value : "always");
    case OPTION_REACH:
        return read_reach(options, value);
    case OPTION_FOLLOW:
        return true;
    case OPTION_HELP:
        reading->help = true;
        return true;
    case OPTION_ATTACH:
        return wrong("-p: a running program cannot be preloaded: start it with closetrace run; "
                     "ss -tanp shows what holds its connections now");
    case OPTION_COUNT:
        return wrong("-c: calls are not counted: closetrace report FILE says what became of every connection");
    }
    return false;
}

static bool read_options(struct reading *reading, int argc, char **argv) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] && !reading->help; i++) {
        const char *value;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        int known = find_option(argv[i], &value);
        if (known < 0)
            return unknown(argv[i]);
        bool refused = options_known[known].option == OPTION_ATTACH;
        if (options_known[known].takes_value == VALUE && !value && !refused) {
            if (i + 1 == argc)
                return wrong("%s: a value is missing", argv[i]);
            value = argv[++i];
        }
        if (!carry_out(reading, options_known[known].option, value ? value : ""))
            return false;
    }
    reading->options->command = argv + i;
    return reading->help || i < argc || wrong("a COMMAND is missing: closetrace run [OPTION...] COMMAND [ARG...]");
}

static bool refuse(const struct settings_error *error) {
    char text[2048] = "";
    size_t length = settings_error_render(error, text, sizeof text);
    fwrite(text, 1, length, stderr);
    return false;
}

/* Rules from files are handed on themselves: the programs may be in other folders by then. */
static bool read_rules(struct run_options *options) {
    static struct rules rules;
    struct settings_error error = {.variable = "CLOSETRACE_INJECT"};
    const char *text = run_options_get(options, "CLOSETRACE_INJECT");
    if (!rules_read(text, true, regular_file_read, &rules, &error))
        return refuse(&error);
    char *all = need(strdup(""));
    for (unsigned i = 0; i < rules.count; i++) {
        char *longer = join(all, i > 0 ? ";" : "", rules.texts[i]);
        free(all);
        all = longer;
    }
    run_options_set(options, "CLOSETRACE_INJECT", rules.count > 0 ? all : NULL);
    options->rules = rules.texts;
    free(all);
    return true;
}

/* As the library will read them, so that a bad one is refused before anything is started. */
static bool check_settings(struct run_options *options) {
    char seed[16];
    unsigned random = 0;
    struct settings settings;
    struct settings_error error;
    if (!settings_read((const char *const *)options->environment, &settings, &error))
        return refuse(&error);
    if (!settings.seed_given && getrandom(&random, sizeof random, 0) == sizeof random) {
        snprintf(seed, sizeof seed, "%u", random);
        run_options_set(options, "CLOSETRACE_SEED", seed); /* one for the whole tree */
    }
    return read_rules(options);
}

enum options_result run_options_read(int argc, char **argv, struct run_options *options) {
    struct reading reading = {.options = options};
    memset(options, 0, sizeof *options);
    options->program_stderr = -1;
    copy_environment(options);
    run_options_set(options, "CLOSETRACE_OUTPUT", NULL);
    run_options_set(options, "CLOSETRACE_FORMAT", NULL);
    run_options_set(options, "CLOSETRACE_SESSION", NULL);
    if (!read_options(&reading, argc, argv))
        return OPTIONS_WRONG;
    if (reading.help)
        return OPTIONS_HELP;
    if (!reading.format_given)
        options->json = options->output != NULL;
    return check_settings(options) ? OPTIONS_RUN : OPTIONS_WRONG;
}

bool run_options_filter(const struct run_options *options) {
    return run_options_get(options, "CLOSETRACE_TRACE") || run_options_get(options, "CLOSETRACE_ONLY");
}
