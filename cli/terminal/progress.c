#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "kernel/clock.h"

static struct {
    uint64_t calls, began_ms, told_ms;
    bool is_terminal, shown;
} progress;

static bool is_due(uint64_t now) {
    enum { PATIENCE_MS = 2000, EVERY_MS = 200 };
    return now - progress.began_ms >= PATIENCE_MS && now - progress.told_ms >= EVERY_MS;
}

void progress_tell(const char *what, uint64_t events, uint64_t done, uint64_t total) {
    if (progress.calls++ == 0) {
        progress.is_terminal = isatty(STDERR_FILENO);
        progress.began_ms = clock_running_ms();
    }
    if (!progress.is_terminal || !is_due(clock_running_ms()))
        return;
    progress.told_ms = clock_running_ms();
    progress.shown = true;
    if (total > 0)
        fprintf(stderr, "\rclosetrace %s: %llu%%, %llu events\x1b[K", what,
                (unsigned long long)(done < total ? done * 100 / total : 100), (unsigned long long)events);
    else
        fprintf(stderr, "\rclosetrace %s: %llu events\x1b[K", what, (unsigned long long)events);
    fflush(stderr);
}

void progress_end(void) {
    if (progress.shown)
        fputs("\r\x1b[K", stderr);
    fflush(stderr);
    progress.shown = false;
}
