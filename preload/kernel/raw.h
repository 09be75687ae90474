/*
 * System calls made by ourselves, for ourselves. They return the kernel's answer (-errno on failure), leave errno
 * alone, are no cancellation points and pass no hook. The program's own calls never go this way: those are made
 * through libc (libc_real.h).
 */
#ifndef CLOSETRACE_RAW_H
#define CLOSETRACE_RAW_H

#include "older.h"

#include "arch/machine.h"

#endif
