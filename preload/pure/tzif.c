#include "tzif.h"

#include <string.h>

static int64_t big_endian(const unsigned char *bytes, unsigned size) {
    uint64_t number = bytes[0] & 0x80 ? ~0ULL : 0;
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return (int64_t)number;
}

/* A TZif header's six counts, in the file's order. */
struct counts {
    uint64_t isut, isstd, leap, times, types, chars;
};

enum { HEADER = 44, FIRST_COUNT = 20 };

static int read_header(const unsigned char *file, uint64_t length, struct counts *counts) {
    memset(counts, 0, sizeof *counts);
    if (length < HEADER || memcmp(file, "TZif", 4) != 0)
        return 0;
    uint64_t *fields[] = {&counts->isut, &counts->isstd, &counts->leap, &counts->times, &counts->types, &counts->chars};
    for (int i = 0; i < 6; i++)
        *fields[i] = (uint32_t)big_endian(file + FIRST_COUNT + 4 * i, 4);
    return counts->types > 0;
}

static uint64_t body_size(const struct counts *counts, unsigned time_size) {
    return counts->times * (time_size + 1) + counts->types * 6 + counts->chars + counts->leap * (time_size + 4) +
           counts->isstd + counts->isut;
}

int32_t tzif_offset(const unsigned char *file, uint64_t length, int64_t seconds_since_epoch) {
    struct counts counts;
    unsigned time_size = 4;
    if (!read_header(file, length, &counts))
        return 0;
    uint64_t second = HEADER + body_size(&counts, 4);
    if (file[4] >= '2' && second < length) { /* version 2 and later: once more, with times of 64 bits */
        file += second;
        length -= second;
        time_size = 8;
        if (!read_header(file, length, &counts))
            return 0;
    }
    if (HEADER + body_size(&counts, time_size) > length)
        return 0;
    const unsigned char *times = file + HEADER, *kinds = times + counts.times * time_size;
    const unsigned char *types = kinds + counts.times;
    uint64_t kind = 0;
    for (uint64_t i = 0; i < counts.times && big_endian(times + i * time_size, time_size) <= seconds_since_epoch; i++)
        kind = kinds[i];
    return kind < counts.types ? (int32_t)big_endian(types + kind * 6, 4) : 0;
}
