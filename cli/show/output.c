#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "output/timezone.h"
#include "pure/complaint.h"
#include "terminal/say.h"

static enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color;

/* Who says so on the command line means it, whatever the environment says. */
bool output_in_color(int fd) {
    const char *no = getenv("NO_COLOR");
    if (color != COLOR_AUTO)
        return color == COLOR_ALWAYS;
    return (!no || !*no) && isatty(fd);
}

bool output_choose_color(const char *subcommand, const char *when) {
    if (strcmp(when, "auto") == 0)
        color = COLOR_AUTO;
    else if (strcmp(when, "always") == 0)
        color = COLOR_ALWAYS;
    else if (strcmp(when, "never") == 0)
        color = COLOR_NEVER;
    else {
        say("closetrace %s: --color=%s: expected auto, always or never", subcommand, when);
        return false;
    }
    return true;
}

/* Without a word it is always, as with ls and grep. */
bool output_color_option(const char *subcommand, const char *word, bool *is_good) {
    static const char option[] = "--color";
    const size_t length = sizeof option - 1;
    if (strncmp(word, option, length) != 0 || (word[length] != '=' && word[length] != '\0'))
        return false;
    *is_good = output_choose_color(subcommand, word[length] ? word + length + 1 : "always");
    return true;
}

unsigned output_width(void) {
    struct winsize size;
    enum { USUAL = 80 };
    if (!isatty(STDOUT_FILENO))
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL;
}

/* UTC, then, for us; the environment of a program that is started was copied before. */
static void avoid_hanging_zone(void) {
    static bool looked;
    if (!looked && timezone_could_hang(getenv("TZ")))
        setenv("TZ", "UTC0", 1);
    looked = true;
}

/* Offsets change at full quarters of an hour only. */
int32_t local_offset(uint64_t time_us) {
    enum { QUARTER = 900 };
    static uint64_t quarter = UINT64_MAX;
    static int32_t offset;
    const time_t second = (time_t)(time_us / 1000000);
    struct tm local;
    if (time_us / 1000000 / QUARTER == quarter)
        return offset;
    quarter = time_us / 1000000 / QUARTER;
    avoid_hanging_zone();
    tzset();
    offset = localtime_r(&second, &local) ? (int32_t)local.tm_gmtoff : 0;
    return offset;
}

bool output_flush(void) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    say("closetrace: standard output: %s", strerror(errno));
    return false;
}

static const char *const *words;

static const char *word_at(unsigned i) {
    return words[i];
}

void unknown_option(const char *subcommand, const char *word, const char *const *options) {
    struct parse_error error;
    unsigned count = 0;
    words = options;
    while (options[count])
        count++;
    complain_of_word(&error, 0, "no such option:", word, strlen(word), word_at, count);
    say("closetrace %s: %s", subcommand, error.message);
}
