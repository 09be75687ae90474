/* Filters run on made-up calls, and the same filters asked of the kernel itself. */
#define _GNU_SOURCE
#include "pure/seccomp_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

enum { NUMBER = offsetof(struct seccomp_data, nr), FIRST = offsetof(struct seccomp_data, args) };

#define RUN(program, data) seccomp_filter_run(program, sizeof(program) / sizeof *(program), data)

static struct seccomp_data call(int number, uint64_t first) {
    return (struct seccomp_data){.nr = number, .arch = AUDIT_ARCH_X86_64, .args = {first}};
}

static void test_jumps(void) {
    static const struct sock_filter kills_sockets[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST),           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 16, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct seccomp_data netlink = call(SYS_socket, 16), tcp = call(SYS_socket, 2), other = call(SYS_read, 16);
    CHECK(RUN(kills_sockets, &netlink) == SECCOMP_RET_KILL_PROCESS);
    CHECK(RUN(kills_sockets, &tcp) == SECCOMP_RET_ALLOW);
    CHECK(RUN(kills_sockets, &other) == SECCOMP_RET_ALLOW);
}

static void test_arithmetic(void) {
    static const struct sock_filter computes[] = {
        BPF_STMT(BPF_LD | BPF_IMM, 0x10),
        BPF_STMT(BPF_ST, 3),
        BPF_STMT(BPF_LDX | BPF_MEM, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), /* 64 + 16 */
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 4), /* 1280 */
        BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1), /* 1279 */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff0),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_ALU | BPF_NEG, 0),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), /* 0 again */
        BPF_STMT(BPF_MISC | BPF_TXA, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct seccomp_data data = call(0, 0);
    CHECK_NUMBER(RUN(computes, &data), (1279 & 0xff0) ^ 1);
}

/* What the kernel would not take counts as killing: nothing is ever assumed allowed. */
static void test_bad_programs(void) {
    static const struct sock_filter runs_out[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER)};
    static const struct sock_filter jumps_out[] = {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff),
                                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    static const struct sock_filter reads_out[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(struct seccomp_data)),
                                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    static const struct sock_filter stores_out[] = {BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct seccomp_data data = call(0, 0);
    CHECK(RUN(runs_out, &data) == SECCOMP_RET_KILL_PROCESS);
    CHECK(RUN(jumps_out, &data) == SECCOMP_RET_KILL_PROCESS);
    CHECK(RUN(reads_out, &data) == SECCOMP_RET_KILL_PROCESS);
    CHECK(RUN(stores_out, &data) == SECCOMP_RET_KILL_PROCESS);
    CHECK(seccomp_filter_run(runs_out, 0, &data) == SECCOMP_RET_KILL_PROCESS);
}

/* A filter that answers getpriority(which) with an errno computed from its argument: kernel and copy must agree. */
static const struct sock_filter answers[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 100, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0),
    BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3),
    BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 2),
    BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 50),
    BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 7),
    BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
    BPF_STMT(BPF_RET | BPF_A, 0),
};

static void ask_kernel(void) {
    const struct sock_fprog program = {sizeof answers / sizeof *answers, (struct sock_filter *)answers};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(0);
    for (unsigned which = 0; which < 400; which += 7) {
        struct seccomp_data data = call(SYS_getpriority, which);
        errno = 0;
        syscall(SYS_getpriority, which, 0);
        if (RUN(answers, &data) != (SECCOMP_RET_ERRNO | (unsigned)errno))
            _exit(1);
    }
    _exit(0);
}

static void test_agrees_with_kernel(void) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        ask_kernel();
    waitpid(child, &status, 0);
    CHECK_NUMBER(status, 0);
}

int main(void) {
    test_jumps();
    test_arithmetic();
    test_bad_programs();
    test_agrees_with_kernel();
    return unit_failures();
}
