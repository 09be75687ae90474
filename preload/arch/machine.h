/* What is the machine's own, and not the library's: each architecture has a folder here with the same names in it. */
#ifndef CLOSETRACE_MACHINE_H
#define CLOSETRACE_MACHINE_H

#if defined(__x86_64__)
#include "x86_64/machine.h"
#else
#error "closetrace knows x86-64 so far: this machine wants a folder in preload/arch"
#endif

#endif
