/* What stands now as a table: a row a connection, both ends in it where both are on this host. */
#ifndef CLOSETRACE_STANDING_TABLE_H
#define CLOSETRACE_STANDING_TABLE_H

#include "look/world.h"
#include "report_words.h"

/* The sockets of which each row tells, in the order in which they are shown. */
void standing_print(const struct world *world, const struct sighting *const *rows, size_t count, FILE *out,
                    const struct report_style *style);

/* One of them on one line, without a heading. */
void standing_print_one(const struct world *world, const struct sighting *sighting, FILE *out,
                        const struct report_style *style);

/* "127.0.0.1:51432 -> 127.0.0.1:80": from the client to the server, where that is known; a listener is its address. */
void sighting_text(const struct sighting *sighting, char text[CONNECTION_TEXT_SIZE]);

/* "4711 nginx fd 7, 4712 nginx fd 7 and 3 more" */
enum { HOLDERS_TEXT_SIZE = 160 };
void holders_text(const struct world *world, const struct sighting *sighting, char text[HOLDERS_TEXT_SIZE]);

/* "0.3 s", "12 min", "5.2 h" */
enum { DURATION_TEXT_SIZE = 24 };
const char *duration_text(uint64_t milliseconds, char text[DURATION_TEXT_SIZE]);

#endif
