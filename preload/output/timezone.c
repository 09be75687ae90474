#define _GNU_SOURCE
#include "timezone.h"

#include <errno.h>

#include "kernel/regular_file.h"
#include "pure/line.h"
#include "pure/tzif.h"

static void zone_path(const char *zone, char *path, size_t size) {
    struct line line;
    line_init(&line, path, size);
    if (zone && *zone == ':')
        zone++;
    if (!zone)
        zone = "/etc/localtime";
    else if (*zone != '/')
        line_text(&line, "/usr/share/zoneinfo/");
    line_text(&line, zone);
    line_char(&line, '\0');
    path[size - 1] = '\0';
}

int32_t timezone_offset(const char *zone, uint64_t seconds_since_epoch) {
    static unsigned char file[8192];
    char path[256];
    zone_path(zone, path, sizeof path);
    long length = regular_file_read(path, (char *)file, sizeof file);
    return length > 0 ? tzif_offset(file, (uint64_t)length, (int64_t)seconds_since_epoch) : 0;
}

bool timezone_could_hang(const char *zone) {
    char path[256], byte;
    zone_path(zone, path, sizeof path);
    return regular_file_read(path, &byte, 1) == -ENXIO;
}
