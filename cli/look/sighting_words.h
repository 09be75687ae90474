/* A socket that stands, and who holds it, in words. Names of processes come from anybody: who prints them makes them
 * printable. */
#ifndef CLOSETRACE_SIGHTING_WORDS_H
#define CLOSETRACE_SIGHTING_WORDS_H

#include "world.h"

enum { SIGHTING_TEXT_SIZE = 2 * ADDRESS_TEXT_SIZE + 4 };
/* "4711 nginx fd 7", "thread 4715 of 4711 nginx, in recvfrom" */
void holding_text(const struct world *world, const struct holding *holding, char *text, size_t size);
/* "127.0.0.1:51432 -> 127.0.0.1:80": from the client to the server, where that is known; a listener is its address. */
void sighting_text(const struct sighting *sighting, char text[SIGHTING_TEXT_SIZE]);

/* "4711 nginx fd 7, 4712 nginx fd 7 and 3 more" */
enum { HOLDERS_TEXT_SIZE = 160 };
void holders_text(const struct world *world, const struct sighting *sighting, char text[HOLDERS_TEXT_SIZE]);

/* "0.3 s", "12 min", "5.2 h" */
enum { DURATION_TEXT_SIZE = 24 };
const char *duration_text(uint64_t milliseconds, char text[DURATION_TEXT_SIZE]);

#endif
