/*
 * What a signal would do to this thread, asked of the kernel; and SIGPIPE, held back or raised as the kernel does.
 * Async-signal-safe.
 */
#ifndef CLOSETRACE_SIGNALS_H
#define CLOSETRACE_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

enum disposition { DISPOSITION_UNKNOWN, DISPOSITION_DEFAULT, DISPOSITION_IGNORED, DISPOSITION_HANDLED };

enum disposition signal_disposition(int signal);
bool signal_is_blocked(int signal);

/* Whether a signal with its default action ends the process: signal(7). */
bool signal_ends_process(int signal);

/* Blocks the signal in this thread; the mask of before goes to *old. False: it could not. */
bool signal_block(int signal, uint64_t *old);
void signal_restore(const uint64_t *old);

/* For abort(): the signal gets through, and does by default what it does. */
void signal_unblock(int signal);
void signal_set_default(int signal);

/* Sends SIGPIPE to this thread, with the siginfo that the kernel gives to a refused write: SI_USER, from itself. */
void signal_raise_sigpipe(void);

#endif
