/*
 * Ends of the process. exit() and a return from main run the program's own handlers first, and those may close
 * what they like: the events are logged by the handler that was registered first of all and so runs last
 * (start.c). The others end it at once.
 */
#define _GNU_SOURCE
#include "hook.h"
#include "kernel/process.h"
#include "pure/names.h"
#include "kernel/signals.h"
#include "calls/leaving.h"

static int (*program_main)(int, char **, char **);

static int traced_main(int argc, char **argv, char **environment) {
    int status = program_main(argc, argv, environment);
    process_ends_by("return", NULL, status);
    return status;
}

HOOKED int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                             void (*fini)(void), void (*rtld_fini)(void), void *stack_end) {
    program_main = main;
    return REAL(__libc_start_main)(traced_main, argc, argv, init, fini, rtld_fini, stack_end);
}

HOOKED void exit(int status) {
    process_ends_by("exit", CALLER, status);
    REAL(exit)(status);
    __builtin_unreachable();
}

HOOKED void quick_exit(int status) {
    process_ends_by("quick_exit", CALLER, status);
    REAL(quick_exit)(status);
    __builtin_unreachable();
}

/* The older version also runs the destructors of thread-local objects. */
HOOKED void quick_exit_2_10(int status) __attribute__((noreturn));
HOOKED void quick_exit_2_10(int status) {
    process_ends_by("quick_exit", CALLER, status);
    REAL(quick_exit_2_10)(status);
    __builtin_unreachable();
}
__asm__(".symver quick_exit_2_10, quick_exit@GLIBC_2.10");

HOOKED void _exit(int status) {
    if (table_on)
        leaving_end("_exit", CALLER, status);
    REAL(_exit)(status);
    __builtin_unreachable();
}

HOOKED void _Exit(int status) {
    if (table_on)
        leaving_end("_Exit", CALLER, status);
    REAL(_Exit)(status);
    __builtin_unreachable();
}

/*
 * A signal that the thread sends to itself, or the process to itself, and that nobody catches. Where the process
 * lives on all the same, its end is still to come.
 */
static bool tell_of_signal(int signal, const void *caller) {
    bool fatal = table_on && signal_ends_process(signal) && signal_disposition(signal) == DISPOSITION_DEFAULT &&
                 !signal_is_blocked(signal);
    if (fatal)
        leaving_end(signal_name(signal), caller, -1);
    return fatal;
}

HOOKED int raise(int signal) {
    bool told = tell_of_signal(signal, CALLER);
    int result = REAL(raise)(signal);
    if (told)
        leaving_survived();
    return result;
}

HOOKED int gsignal(int signal) {
    bool told = tell_of_signal(signal, CALLER);
    int result = REAL(gsignal)(signal);
    if (told)
        leaving_survived();
    return result;
}

HOOKED int kill(pid_t pid, int signal) {
    bool told = pid > 0 && table_on && pid == process_id() && tell_of_signal(signal, CALLER);
    int result = REAL(kill)(pid, signal);
    if (told)
        leaving_survived();
    return result;
}

/*
 * abort() raises SIGABRT as it finds it, and when a handler has returned (or it is ignored) once more with its
 * default action. Only then it is certain that the process ends; so the first is done here, the second there.
 */
HOOKED void abort(void) {
    if (table_on && signal_disposition(SIGABRT) != DISPOSITION_DEFAULT) {
        signal_unblock(SIGABRT);
        REAL(raise)(SIGABRT);
        signal_set_default(SIGABRT);
    }
    if (table_on)
        leaving_end("abort", CALLER, -1);
    REAL(abort)();
    __builtin_unreachable();
}
