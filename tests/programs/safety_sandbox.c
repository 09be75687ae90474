/*
 * Programs that put themselves into a sandbox (seccomp), where a call that they do not make themselves is their death:
 * SCMP_ACT_KILL_PROCESS. Each survives without the library, and must survive with it.
 */
#include "pair.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

enum { LIST = 40, END = -1000 };

#define KILL SCMP_ACT_KILL_PROCESS

/* ---- sandboxes ---- */

/* Everything but these calls does that, and these do the other. The list ends with END. */
static void install(uint32_t others, uint32_t listed, const int *calls) {
    scmp_filter_ctx filter = seccomp_init(others);
    EXPECT(filter);
    for (; *calls != END; calls++)
        MUST(seccomp_rule_add(filter, listed, *calls, 0));
    MUST(seccomp_load(filter));
    seccomp_release(filter);
}

#define ALLOW_ONLY(...) install(KILL, SCMP_ACT_ALLOW, (const int[]){__VA_ARGS__, END})
#define KILL_ON(...)    install(SCMP_ACT_ALLOW, KILL, (const int[]){__VA_ARGS__, END})
#define FAIL_ON(...)    install(SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM), (const int[]){__VA_ARGS__, END})

/* The usual one: no new sockets but those wanted, no files. */
static void forbid_netlink_and_files(uint32_t action) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    EXPECT(filter);
    MUST(seccomp_rule_add(filter, action, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)));
    MUST(seccomp_rule_add(filter, action, SCMP_SYS(open), 0));
    MUST(seccomp_rule_add(filter, action, SCMP_SYS(openat), 0));
    MUST(seccomp_rule_add(filter, action, SCMP_SYS(getdents64), 0));
    MUST(seccomp_rule_add(filter, action, SCMP_SYS(process_vm_readv), 0));
    MUST(seccomp_load(filter));
    seccomp_release(filter);
}

/* By hand: kills on the calls with those numbers. */
static struct sock_fprog by_hand(int first, int second, int third) {
    static struct sock_filter steps[8];
    const struct sock_filter made[8] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)first, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)second, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)third, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    memcpy(steps, made, sizeof steps);
    return (struct sock_fprog){.len = 8, .filter = steps};
}

/* ---- what is done in them ---- */

static struct pair pair, second, third;

static void make_connections(void) {
    pair = make_pair();
    second = quiet_pair(AF_INET);
    third = quiet_pair(AF_INET);
}

/* Calls that any server makes. */
static void serve(void) {
    char byte;
    EXPECT(write(pair.s, "x", 1) == 1);
    EXPECT(read(pair.c, &byte, 1) == 1);
    MUST(shutdown(second.c, SHUT_WR));
    EXPECT(read(second.s, &byte, 1) == 0);
    MUST(close(second.s));
    MUST(close(second.c));
    MUST(close(pair.c));
    EXPECT(read(pair.s, &byte, 1) == 0);
    MUST(close(pair.s));
    tell("served");
}

static int no_netlink(char **arguments) {
    (void)arguments;
    make_connections();
    forbid_netlink_and_files(KILL);
    serve();
    struct pair more = quiet_pair(AF_INET);
    MUST(close(MUST(dup(more.c))));
    MUST(dup2(more.s, more.c));
    MUST(close_range((unsigned)more.s, (unsigned)more.s, 0));
    return 0;
}

/* No connection was looked up before: the library has no netlink socket, and cannot have one. */
static int no_look_up_yet(char **arguments) {
    (void)arguments;
    int listener = listen_on_loopback(AF_INET, 1);
    struct pair *const pairs[] = {&pair, &second};
    for (int i = 0; i < 2; i++)
        *pairs[i] = (struct pair){.c = connect_to(listener), .s = MUST(accept(listener, NULL, NULL))};
    introduce("C", pair.c);
    introduce("S", pair.s);
    forbid_netlink_and_files(KILL);
    serve();
    return 0;
}

static int refusals(char **arguments) {
    (void)arguments;
    make_connections();
    forbid_netlink_and_files(SCMP_ACT_ERRNO(EPERM));
    FAIL_ON(SCMP_SYS(ioctl), SCMP_SYS(readlinkat), SCMP_SYS(getpeername), SCMP_SYS(prlimit64));
    serve();
    return 0;
}

/* A handler for what is trapped would be called by a call of ours. */
static volatile sig_atomic_t trapped;

static void on_sigsys(int signal) {
    (void)signal;
    trapped++;
}

static int traps(char **arguments) {
    (void)arguments;
    make_connections();
    signal(SIGSYS, on_sigsys);
    forbid_netlink_and_files(SCMP_ACT_TRAP);
    serve();
    tell("trapped %d", (int)trapped);
    return 0;
}

static int narrow(char **arguments) {
    (void)arguments;
    char byte;
    make_connections();
    ALLOW_ONLY(SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(exit_group));
    EXPECT(write(pair.s, "x", 1) == 1);
    EXPECT(read(pair.c, &byte, 1) == 1);
    MUST(close(second.c));
    EXPECT(read(second.s, &byte, 1) == 0);
    MUST(close(pair.c));
    MUST(close(pair.s));
    tell("served");
    if (arguments[0])
        _exit(0);
    return 0;
}

/* As narrow, and what the log needs to know its file again: fstat, and what it asks of sockets. */
static int narrow_with_questions(char **arguments) {
    (void)arguments;
    make_connections();
    ALLOW_ONLY(SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(exit_group), SCMP_SYS(shutdown),
               SCMP_SYS(fstat), SCMP_SYS(getsockopt), SCMP_SYS(ioctl), SCMP_SYS(prlimit64));
    serve();
    return 0;
}

static int strict(char **arguments) {
    (void)arguments;
    char byte;
    make_connections();
    MUST(shutdown(second.c, SHUT_WR));
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    EXPECT(write(pair.s, "x", 1) == 1);
    EXPECT(read(pair.c, &byte, 1) == 1);
    EXPECT(read(second.s, &byte, 1) == 0);
    tell("served");
    syscall(SYS_exit, 0);
    return 1;
}

static int strict_by_number(char **arguments) {
    (void)arguments;
    char byte;
    make_connections();
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
    EXPECT(write(pair.s, "x", 1) == 1);
    EXPECT(read(pair.c, &byte, 1) == 1);
    tell("served");
    syscall(SYS_exit, 0);
    return 1;
}

static int installed_by_prctl(char **arguments) {
    (void)arguments;
    make_connections();
    struct sock_fprog program = by_hand(SYS_socket, SYS_open, SYS_getdents64);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    memset(program.filter, 0xff, program.len * sizeof *program.filter); /* the kernel has its own copy */
    serve();
    return 0;
}

static int installed_by_number(char **arguments) {
    (void)arguments;
    make_connections();
    struct sock_fprog program = by_hand(SYS_socket, SYS_open, SYS_getdents64);
    MUST(syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    serve();
    return 0;
}

/* One more than fits into any table, each for other calls. */
static int many_filters(char **arguments) {
    (void)arguments;
    make_connections();
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    for (int i = 0; i < 40; i++) {
        struct sock_fprog program = by_hand(i == 39 ? SYS_socket : SYS_reboot, i == 38 ? SYS_open : SYS_reboot,
                                            i == 37 ? SYS_getdents64 : SYS_reboot);
        MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    }
    serve();
    return 0;
}

/* What was refused is no sandbox: everything is verified as before. */
static int failing(char **arguments) {
    (void)arguments;
    make_connections();
    struct sock_fprog program = by_hand(SYS_socket, SYS_open, SYS_getdents64);
    struct sock_fprog empty = {.len = 0};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    tell("%d", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &empty));
    tell("%s", strerrorname_np(errno));
    tell("%d", prctl(PR_SET_SECCOMP, 99, &program));
    tell("%d", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 16));
    tell("%s", strerrorname_np(errno));
    tell("%d", (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0xffff, &program));
    tell("%s", strerrorname_np(errno));
    tell("%d", (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty));
    tell("%d", (int)syscall(SYS_seccomp, 99, 0, &program));
    tell("%d", prctl(PR_GET_SECCOMP));
    serve();
    return 0;
}

/* The child's sandbox is none of the parent's. */
static int in_a_child(char **arguments) {
    (void)arguments;
    make_connections();
    int status = -1;
    pid_t child = MUST(fork());
    if (child == 0) {
        forbid_netlink_and_files(KILL);
        MUST(close(pair.c));
        MUST(close(third.c));
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    tell("child ended with %d", status);
    serve();
    return 0;
}

/* A process that may not ask who it is: its children and threads neither. */
static int not_even_ids(char **arguments) {
    (void)arguments;
    make_connections();
    KILL_ON(SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(clock_gettime), SCMP_SYS(prctl),
            SCMP_SYS(socket), SCMP_SYS(open), SCMP_SYS(mmap));
    serve();
    return 0;
}

static int fork_without_ids(char **arguments) {
    (void)arguments;
    make_connections();
    KILL_ON(SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(socket), SCMP_SYS(open));
    int status = -1;
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(close(pair.c));
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    tell("child ended with %d", status);
    serve();
    return 0;
}

static int vfork_without_ids(char **arguments) {
    (void)arguments;
    make_connections();
    KILL_ON(SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(socket), SCMP_SYS(open));
    int status = -1;
    pid_t child = MUST(vfork()); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0) {
        close(pair.c);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    tell("child ended with %d", status);
    serve();
    return 0;
}

static void *serve_in_thread(void *unused) {
    (void)unused;
    serve();
    return NULL;
}

/* A thread that is made when the sandbox is there already. */
static int thread_without_ids(char **arguments) {
    (void)arguments;
    pthread_t thread;
    make_connections();
    KILL_ON(SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(socket), SCMP_SYS(open));
    EXPECT(pthread_create(&thread, NULL, serve_in_thread, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    return 0;
}

/* One thread sandboxes all of them (SECCOMP_FILTER_FLAG_TSYNC). */
static pthread_barrier_t barrier;

static void *serve_when_told(void *unused) {
    pthread_barrier_wait(&barrier);
    return serve_in_thread(unused);
}

static int all_threads(char **arguments) {
    (void)arguments;
    pthread_t thread;
    make_connections();
    EXPECT(pthread_barrier_init(&barrier, NULL, 2) == 0);
    EXPECT(pthread_create(&thread, NULL, serve_when_told, NULL) == 0);
    struct sock_fprog program = by_hand(SYS_socket, SYS_open, SYS_getdents64);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
    pthread_barrier_wait(&barrier);
    EXPECT(pthread_join(thread, NULL) == 0);
    return 0;
}

/* close_range() is allowed, close() is not. */
static int ranges_only(char **arguments) {
    (void)arguments;
    make_connections();
    KILL_ON(SCMP_SYS(close), SCMP_SYS(unshare), SCMP_SYS(socket), SCMP_SYS(open));
    MUST(close_range((unsigned)pair.c, (unsigned)pair.c, 0));
    MUST(close_range((unsigned)second.c, (unsigned)second.c, CLOSE_RANGE_UNSHARE));
    closefrom(third.s);
    tell("served");
    return 0;
}

/* A refused write, where the signal cannot be sent by us. */
static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int signal) {
    (void)signal;
    sigpipes++;
}

static int refused_write(char **arguments) {
    (void)arguments;
    make_connections();
    signal(SIGPIPE, on_sigpipe);
    MUST(shutdown(pair.c, SHUT_WR));
    MUST(shutdown(second.c, SHUT_WR));
    KILL_ON(SCMP_SYS(sendmsg), SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(tgkill), SCMP_SYS(rt_sigaction),
            SCMP_SYS(rt_sigprocmask), SCMP_SYS(getuid), SCMP_SYS(getpid), SCMP_SYS(socket), SCMP_SYS(open));
    EXPECT(write(pair.c, "x", 1) == -1 && errno == EPIPE);
    EXPECT(send(second.c, "x", 1, 0) == -1 && errno == EPIPE);
    EXPECT(send(second.c, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    tell("SIGPIPE %d times", (int)sigpipes);
    return 0;
}

/* write() is what is allowed on a socket; send() is not, and it is not a file that is written. */
static int write_only(char **arguments) {
    (void)arguments;
    make_connections();
    KILL_ON(SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(socket), SCMP_SYS(open));
    EXPECT(write(third.c, "x", 1) == 1);
    EXPECT(dprintf(third.c, "x") == 1);
    serve();
    return 0;
}

/* A sandbox that was there before the program: it is what runs in it that starts, library and all. */
static int inherited(char **arguments) {
    (void)arguments;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    uint32_t action = strcmp(arguments[0], "kills") == 0 ? KILL : SCMP_ACT_ERRNO(EPERM);
    EXPECT(filter);
    MUST(seccomp_rule_add(filter, action, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)));
    MUST(seccomp_load(filter));
    seccomp_release(filter);
    execl("/proc/self/exe", "safety_sandbox", "inheritor", (char *)NULL);
    return 99;
}

static int inheritor(char **arguments) {
    (void)arguments;
    make_connections();
    serve();
    return 0;
}

SCENES({"no-netlink", no_netlink}, {"no-look-up-yet", no_look_up_yet}, {"refusals", refusals}, {"traps", traps},
       {"narrow", narrow}, {"narrow-with-questions", narrow_with_questions}, {"strict", strict},
       {"strict-by-number", strict_by_number}, {"installed-by-prctl", installed_by_prctl},
       {"installed-by-number", installed_by_number}, {"many-filters", many_filters}, {"failing", failing},
       {"in-a-child", in_a_child}, {"not-even-ids", not_even_ids}, {"fork-without-ids", fork_without_ids},
       {"vfork-without-ids", vfork_without_ids}, {"thread-without-ids", thread_without_ids},
       {"all-threads", all_threads}, {"ranges-only", ranges_only}, {"refused-write", refused_write},
       {"write-only", write_only}, {"inherited", inherited}, {"inheritor", inheritor})
