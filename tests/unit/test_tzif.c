/* Zone files of the system, against libc's localtime(). */
#define _GNU_SOURCE
#include "pure/tzif.h"

#include <stdlib.h>
#include <time.h>

#include "unit.h"

static unsigned char file[65536];

static uint64_t read_zone(const char *zone) {
    char path[256];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", zone);
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return 0;
    uint64_t length = fread(file, 1, sizeof file, stream);
    fclose(stream);
    return length;
}

static void test_zone(const char *zone) {
    uint64_t length = read_zone(zone);
    if (!length)
        return; /* the machine has no zone files */
    setenv("TZ", zone, 1);
    tzset();
    for (time_t when = 0; when < 2000000000; when += 1234567) {
        struct tm local;
        localtime_r(&when, &local);
        if (tzif_offset(file, length, when) != local.tm_gmtoff)
            FAILED("%s at %lld: is %d, not %ld", zone, (long long)when, tzif_offset(file, length, when),
                   local.tm_gmtoff);
    }
    /* A file cut off anywhere is not read past its end. */
    for (uint64_t cut = 0; cut < length; cut++) {
        unsigned char *copy = malloc(cut ? cut : 1);
        if (!copy)
            abort();
        memcpy(copy, file, cut);
        tzif_offset(copy, cut, 1700000000);
        free(copy);
    }
}

int main(void) {
    test_zone("Europe/Berlin");
    test_zone("America/New_York");
    test_zone("Asia/Kolkata");
    test_zone("Etc/UTC");
    CHECK_NUMBER(tzif_offset((const unsigned char *)"no zone", 7, 0), 0);
    return unit_failures();
}
