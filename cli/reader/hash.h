/*
 * Where a key stands in a table. Traces and addresses come from anybody, who might choose keys that all stand at one
 * place: so the places depend on a secret of this run. What is printed never depends on them.
 */
#ifndef CLOSETRACE_HASH_H
#define CLOSETRACE_HASH_H

#include <stdint.h>

#include "pure/address.h"

/* Once, before the first table; without it the places are the same in each run. */
void hash_choose_secret(const unsigned char random[16]);

uint64_t hash_number(uint64_t number);
uint64_t hash_pair(uint64_t one, uint64_t other);      /* their order counts */
uint64_t hash_address(const struct address *address);  /* not the scope of a link-local one */
uint64_t hash_text(uint64_t before, const char *text); /* before: 0, or the hash of what stands before it */

#endif
