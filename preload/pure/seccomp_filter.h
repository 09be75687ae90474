/*
 * What a seccomp filter would do with a call: a classic BPF program run on a made-up struct seccomp_data
 * (seccomp(2), Documentation/userspace-api/seccomp_filter.rst). Pure.
 */
#ifndef CLOSETRACE_SECCOMP_FILTER_H
#define CLOSETRACE_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The filter's return value (SECCOMP_RET_...). A program that the kernel would refuse (a jump past its end, an
 * instruction that seccomp does not know) counts as one that kills.
 */
uint32_t seccomp_filter_run(const struct sock_filter *program, unsigned length, const struct seccomp_data *data);

#endif
