/*
 * A function of one object in memory, whoever else has one of that name: another preloaded library may have put its own
 * in place of libc's (a faked clock has), and what we do of our own accord is not its to see. Reads the object's
 * tables, calls nothing.
 */
#ifndef CLOSETRACE_ELF_SYMBOL_H
#define CLOSETRACE_ELF_SYMBOL_H

/* base: where the object's first page is; NULL: there is none. NULL where it has no such function. Before main. */
void *elf_symbol(const void *base, const char *name);

#endif
