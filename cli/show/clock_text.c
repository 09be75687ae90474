#include "clock_text.h"

#include <stdio.h>
#include <string.h>

#include "output.h"

void clock_text(uint64_t time_us, char text[CLOCK_TEXT_SIZE]) {
    enum { DAY = 86400 };
    const uint64_t second = (time_us / 1000000 + (uint64_t)(local_offset(time_us) % DAY + DAY)) % DAY;
    snprintf(text, CLOCK_TEXT_SIZE, "%02u:%02u:%02u.%06u", (unsigned)(second / 3600), (unsigned)(second / 60 % 60),
             (unsigned)(second % 60), (unsigned)(time_us % 1000000));
}

/* " at DDDDDDDDDD.DDDDDD": the length of it, and the time; 0: it is something else. */
static size_t time_at(const char *text, uint64_t *time_us) {
    unsigned long long seconds;
    unsigned microseconds;
    int length = 0;
    if (strncmp(text, " at ", 4) != 0)
        return 0;
    if (sscanf(text, " at %10llu.%6u%n", &seconds, &microseconds, &length) != 2 || length != 4 + 10 + 1 + 6)
        return 0;
    *time_us = seconds * 1000000 + microseconds;
    return (size_t)length;
}

void clock_sentence(const char *sentence, char *into, size_t size) {
    size_t used = 0;
    while (*sentence && used + 1 < size) {
        char clock[CLOCK_TEXT_SIZE];
        uint64_t time_us;
        const size_t length = *sentence == ' ' ? time_at(sentence, &time_us) : 0;
        if (length == 0) {
            into[used++] = *sentence++;
            continue;
        }
        clock_text(time_us, clock);
        const int added = snprintf(into + used, size - used, " at %s", clock);
        used += (size_t)added < size - used ? (size_t)added : size - used - 1;
        sentence += length;
    }
    into[used] = '\0';
}
