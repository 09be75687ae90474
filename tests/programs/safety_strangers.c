/*
 * Threads and children that libc has not made: by clone() with thread-local storage of their own choice, or none, on
 * stacks of a few kilobytes. In each of them one call is made, of what is TCP and of what is not, and told how it
 * ended.
 */
#include "pair.h"
#include "unseen.h"

#include <asm/prctl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { PAGE = 4096, BLOCK = 16 * PAGE };

/* What the call is about: a connection, or a pair of unix sockets in its place. */
static struct {
    int fd, other; /* the two ends */
    int listener;
    int null; /* open on /dev/null */
    struct sockaddr_storage name;
} at;

static char text[64];
static struct iovec part = {text, 8};
static union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
} rights;

static bool sends_descriptor(int fd) {
    rights.header =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    *(int *)CMSG_DATA(&rights.header) = fd;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights.bytes};
    return sendmsg(at.fd, &message, 0) >= 0;
}

static bool receives(int flags) {
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights.bytes};
    return recvmsg(at.fd, &message, flags) >= 0;
}

static int nothing(void *unused) {
    (void)unused;
    unseen(SYS_exit, 0, 0, 0);
    return 0;
}

static bool clones(void) {
    static char stack[PAGE] __attribute__((aligned(16)));
    return clone(nothing, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) > 0;
}

static bool vforks(void) {
    pid_t child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0)
        _exit(0);
    return child > 0;
}

static char *const program[] = {"true", NULL}, *const no_environment[] = {NULL};
static struct pollfd readable;
static fd_set none;
static const struct timespec no_time;
static struct timeval no_time_either;

/* The calls, each once: whether it succeeded. What cannot be expected of each kind of descriptor still has a result. */
#define CALLS                                                                                                       \
    CALL("_exit", (_exit(0), false))                                                                                \
    CALL("_Exit", (_Exit(0), false))                                                                                \
    CALL("execve", execve("/bin/true", program, no_environment))                                                    \
    CALL("execv", execv("/bin/true", program))                                                                      \
    CALL("close", close(at.fd) == 0)                                                                                \
    CALL("close of nothing", close(-1) == -1)                                                                       \
    CALL("close twice", close(at.fd) + close(at.fd) == -1)                                                          \
    CALL("close, close, close", close(at.fd) == 0 && close(at.other) == 0 && close(at.null) == 0)                   \
    CALL("shutdown", shutdown(at.fd, SHUT_WR) == 0)                                                                 \
    CALL("dup", dup(at.fd) >= 0)                                                                                    \
    CALL("dup2", dup2(at.fd, at.null) == at.null)                                                                   \
    CALL("dup2 over it", dup2(at.null, at.fd) == at.fd)                                                             \
    CALL("dup3", dup3(at.fd, at.null, O_CLOEXEC) == at.null)                                                        \
    CALL("fcntl", fcntl(at.fd, F_DUPFD_CLOEXEC, 10) >= 10)                                                          \
    CALL("fcntl of flags", fcntl(at.fd, F_GETFD) >= 0)                                                              \
    CALL("close_range", close_range((unsigned)at.fd, (unsigned)at.fd, 0) == 0)                                      \
    CALL("closefrom", (closefrom(at.fd < at.other ? at.fd : at.other), true))                                       \
    CALL("socket", socket(AF_INET, SOCK_STREAM, 0) >= 0)                                                            \
    CALL("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}) == 0)                                       \
    CALL("connect",                                                                                                 \
         connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at.name, sizeof(struct sockaddr_in)) == 0)    \
    CALL("accept4", accept4(at.listener, NULL, NULL, SOCK_NONBLOCK) >= 0)                                           \
    CALL("setsockopt", setsockopt(at.fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)) == 0)                    \
    CALL("write", write(at.fd, "ab", 2) == 2)                                                                       \
    CALL("write of nothing", write(at.fd, "", 0) == 0)                                                              \
    CALL("writev", writev(at.fd, &part, 1) == 8)                                                                    \
    CALL("send", send(at.fd, "ab", 2, 0) == 2)                                                                      \
    CALL("sendto", sendto(at.fd, "ab", 2, MSG_NOSIGNAL, NULL, 0) == 2)                                              \
    CALL("sendmsg", sendmsg(at.fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, 0) == 8)                    \
    CALL("sendmsg of descriptors", sends_descriptor(at.listener))                                                   \
    CALL("sendmmsg", sendmmsg(at.fd, &(struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}}, 1, 0) == 1) \
    CALL("sendfile", sendfile(at.fd, at.null, NULL, 4) == 0)                                                        \
    CALL("read", read(at.fd, text, 4) == 4)                                                                         \
    CALL("readv", readv(at.fd, &part, 1) > 0)                                                                       \
    CALL("recv", recv(at.fd, text, 4, 0) == 4)                                                                      \
    CALL("recvfrom", recvfrom(at.fd, text, 4, 0, NULL, NULL) == 4)                                                  \
    CALL("recvmsg", receives(0))                                                                                    \
    CALL("read to the end", (unseen(SYS_shutdown, at.other, SHUT_WR, 0), read(at.fd, text, sizeof text)) > 0 &&     \
                                read(at.fd, text, 4) == 0)                                                          \
    CALL("poll", poll(&readable, 1, 0) == 1)                                                                        \
    CALL("ppoll", ppoll(&readable, 1, &no_time, NULL) == 1)                                                         \
    CALL("select", select(0, &none, NULL, NULL, &no_time_either) == 0)                                              \
    CALL("pselect", pselect(0, &none, NULL, NULL, &no_time, NULL) == 0)                                             \
    CALL("kill", kill(getpid(), 0) == 0)                                                                            \
    CALL("kill of itself", kill(getpid(), SIGKILL) == 0)                                                            \
    CALL("prctl", prctl(PR_SET_NAME, "another", 0, 0, 0) == 0)                                                      \
    CALL("setrlimit", setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64}) == 0)                                      \
    CALL("clone", clones())                                                                                         \
    CALL("vfork", vforks())                                                                                         \
    CALL("close by number", syscall(SYS_close, at.fd) == 0)                                                         \
    CALL("dup2 by number", syscall(SYS_dup2, at.null, at.fd) == at.fd)                                              \
    CALL("shutdown by number", syscall(SYS_shutdown, at.fd, SHUT_RDWR) == 0)                                        \
    CALL("write by number", syscall(SYS_write, at.fd, "ab", 2) == 2)                                                \
    CALL("read by number", syscall(SYS_read, at.fd, text, 4) == 4)                                                  \
    CALL("execve by number", syscall(SYS_execve, "/bin/true", program, no_environment))                             \
    CALL("exit_group by number", syscall(SYS_exit_group, 0))

#define CALL(name, expression) name,
static const char *const calls[] = {CALLS};
#undef CALL
enum { CALL_COUNT = sizeof calls / sizeof *calls };

#define CALL(name, expression) \
    if (call == number++)      \
        return (expression) ? 0 : 1;
static int do_call(int call) {
    int number = 0;
    CALLS
    return 2;
}
#undef CALL

/* ---- storage ---- */

/* BLOCK bytes that can be written, and a page before them that cannot be touched. */
static char *new_memory(void) {
    char *memory = mmap(NULL, PAGE + BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(memory != MAP_FAILED);
    MUST(mprotect(memory, PAGE, PROT_NONE));
    return memory + PAGE;
}

static void *own_block(void) {
    uintptr_t block;
    MUST(syscall(SYS_arch_prctl, ARCH_GET_FS, &block));
    return (void *)block; // NOLINT(performance-no-int-to-ptr)
}

/* Room on both sides, all zeroes. */
static void *zeroed(void) {
    return new_memory() + BLOCK / 2;
}

/* As the ABI wants it: it begins with its own address. */
static void *proper(void) {
    void **block = (void *)(new_memory() + BLOCK / 2);
    block[0] = block[2] = block;
    return block;
}

/* Nothing can be read below it. */
static void *edge(void) {
    void **block = (void *)new_memory();
    block[0] = block[2] = block;
    return block;
}

static void *none_at_all(void) {
    return NULL;
}

/* All that libc has in this thread's, at another place. */
static void *copied(void) {
    enum { AROUND = PAGE };
    char *block = new_memory() + BLOCK / 2, *own = own_block();
    memcpy(block - AROUND, own - AROUND, AROUND + 768);
    ((void **)block)[0] = ((void **)block)[2] = block;
    return block;
}

static const struct {
    const char *name;
    void *(*make)(void);
} storages[] = {{"zeroed", zeroed}, {"proper", proper}, {"edge", edge}, {"none", none_at_all}, {"copied", copied}};

/* ---- threads ---- */

static int now; /* the call */
static int result_of_thread;

/* A thread ends alone, a child as a process does; neither touches what it has not got. */
static int in_child(void *unused) {
    (void)unused;
    unseen(SYS_exit, do_call(now), 0, 0);
    return 0;
}

static int in_thread(void *unused) {
    (void)unused;
    result_of_thread = do_call(now);
    unseen(SYS_exit, 0, 0, 0);
    return 0;
}

static char *top_of_stack(size_t size) {
    char *stack = new_memory() + size;
    return stack;
}

static int status_of(pid_t child) {
    int status = -1;
    MUST(waitpid(child, &status, __WALL));
    return status;
}

static int cloned(void *storage, int flags, size_t stack) {
    return status_of(
        MUST(clone(in_child, top_of_stack(stack), flags | CLONE_SETTLS | SIGCHLD, NULL, NULL, storage, NULL)));
}

static int as_fork(void *storage) {
    return cloned(storage, 0, 2 * PAGE);
}

static int as_vfork(void *storage) {
    return cloned(storage, CLONE_VM | CLONE_VFORK, 2 * PAGE);
}

static int as_sharer(void *storage) {
    return cloned(storage, CLONE_VM, PAGE);
}

static int as_sharer_of_files(void *storage) {
    return cloned(storage, CLONE_VM | CLONE_FILES, 2 * PAGE);
}

/* By number, on this stack: what returns in the child has no storage of libc's. */
static int by_number(void *storage) {
    long child = syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, NULL, NULL, NULL, storage);
    if (child == 0)
        in_child(NULL);
    return status_of((pid_t)child);
}

/* By an instruction of the program's own. */
static int unseen_fork(void *storage) {
    long child;
    __asm__ volatile("mov %[storage], %%r8\n\txor %%r10d, %%r10d\n\tsyscall"
                     : "=a"(child)
                     : "a"(SYS_clone), "D"(CLONE_SETTLS | SIGCHLD), "S"(0), "d"(0), [storage] "r"(storage)
                     : "rcx", "r8", "r10", "r11", "memory");
    if (child == 0)
        in_child(NULL);
    return status_of((pid_t)child);
}

/* In a process of its own: what goes wrong there takes all its threads along. */
static int as_thread(void *storage) {
    pid_t child = MUST(fork());
    if (child > 0)
        return status_of(child);
    static int there = 1;
    result_of_thread = 3;
    MUST(clone(in_thread, top_of_stack(PAGE),
               CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                   CLONE_CHILD_CLEARTID,
               NULL, NULL, storage, &there));
    while (__atomic_load_n(&there, __ATOMIC_ACQUIRE) != 0)
        syscall(SYS_futex, &there, FUTEX_WAIT, 1, NULL);
    unseen(SYS_exit_group, result_of_thread, 0, 0);
    return 0;
}

/* A thread of libc's that changes its storage for a while, as some runtimes do. */
static int switched(void *storage) {
    pid_t child = MUST(fork());
    if (child > 0)
        return status_of(child);
    void *own = own_block();
    unseen(SYS_arch_prctl, ARCH_SET_FS, (long)storage, 0);
    int result = do_call(now);
    unseen(SYS_arch_prctl, ARCH_SET_FS, (long)own, 0);
    unseen(SYS_exit_group, result, 0, 0);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void *storage);
} kinds[] = {{"fork", as_fork},     {"vfork", as_vfork},     {"sharer", as_sharer}, {"files", as_sharer_of_files},
             {"number", by_number}, {"unseen", unseen_fork}, {"thread", as_thread}, {"switched", switched}};

/* ---- scenes ---- */

static void open_all(bool tcp) {
    int ends[2];
    at.listener = listen_on_loopback(AF_INET, 16);
    at.name = name_of(at.listener);
    MUST(fcntl(at.listener, F_SETFL, O_NONBLOCK));
    if (tcp) {
        struct pair pair = quiet_pair(AF_INET);
        ends[0] = pair.c;
        ends[1] = pair.s;
    } else
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    at.fd = ends[0];
    at.other = ends[1];
    at.null = MUST(open("/dev/null", O_RDWR));
    EXPECT(write(at.other, "something to read", 17) == 17);
    WAIT_UNTIL(unread_of(at.fd) == 17);
    if (!strcmp(calls[now], "accept4"))
        MUST(connect(MUST(socket(AF_INET, SOCK_STREAM, 0)), (struct sockaddr *)&at.name, sizeof(struct sockaddr_in)));
    readable = (struct pollfd){.fd = at.fd, .events = POLLIN};
}

/* KIND STORAGE: each call, each in a process of its own, whose descriptors and memory go with it. */
static int play(char **arguments) {
    int kind = 0, storage = 0, status;
    while (strcmp(kinds[kind].name, arguments[0]) != 0)
        kind++;
    while (strcmp(storages[storage].name, arguments[1]) != 0)
        storage++;
    bool tcp = !strcmp(arguments[2], "tcp");
    for (now = 0; now < CALL_COUNT; now++) {
        pid_t child = MUST(fork());
        if (child == 0) {
            open_all(tcp);
            status = kinds[kind].run(storages[storage].make());
            tell("%s on %s, %s: %s: %x", kinds[kind].name, storages[storage].name, arguments[2], calls[now], status);
            unseen(SYS_exit_group, 0, 0, 0);
        }
        EXPECT(status_of(child) == 0);
    }
    return 0;
}

/* KIND: closes the last reference there; its process, and the connection's cookie, are told. */
static int ends_it(char **arguments) {
    int kind = 0;
    while (strcmp(kinds[kind].name, arguments[0]) != 0)
        kind++;
    for (now = 0; strcmp(calls[now], arguments[1]) != 0;)
        now++;
    open_all(true);
    introduce("C", at.fd);
    introduce("S", at.other);
    MUST(recv(at.fd, text, sizeof text, 0));
    tell("PID=%d", getpid());
    // No less than proper: since glibc 2.41 close() itself reads what the thread pointer points at.
    tell("STATUS=%x", kinds[kind].run(proper()));
    tell("HELD=%d", fcntl(at.fd, F_GETFD) >= 0);
    unseen(SYS_close, at.fd, 0, 0);
    tell_end(at.other);
    return 0;
}

int main(int count, char **arguments) {
    EXPECT(count > 3);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return !strcmp(arguments[1], "play") ? play(arguments + 2) : ends_it(arguments + 2);
}
