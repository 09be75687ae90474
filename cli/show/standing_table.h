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

#endif
