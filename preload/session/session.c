#define _GNU_SOURCE
#include "session.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "command.h"
#include "expectation.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "kernel/tcp_socket.h"

static struct session *session;
static bool over; /* nobody reads the ring any more */
static char program_comm[ROSTER_NAME];

/* Nobody can take memory away under us, nor is it a stranger's. */
static bool is_trustworthy(int fd) {
    struct stat status;
    long seals = raw6(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0);
    return raw6(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && status.st_size == sizeof *session && seals >= 0 &&
           (seals & F_SEAL_SHRINK) && command_may_be_of(status.st_uid);
}

static struct session *keep_out_of_dumps(long memory) {
    if (memory < 0 && memory > -4096)
        return NULL;
    raw6(SYS_madvise, memory, sizeof *session, MADV_DONTDUMP, 0, 0, 0);
    return (struct session *)memory; // NOLINT(performance-no-int-to-ptr)
}

static struct session *map_file(int fd) {
    struct session *found = NULL;
    if (is_trustworthy(fd))
        found = keep_out_of_dumps(
            raw6(SYS_mmap, 0, sizeof *session, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0));
    raw6(SYS_close, fd, 0, 0, 0, 0, 0);
    return found;
}

/* Of a size that is fixed. */
static struct session *map_segment(int segment) {
    struct shmid_ds status;
    if (raw6(SYS_shmctl, segment, IPC_STAT, (long)&status, 0, 0, 0) != 0 || status.shm_segsz != sizeof *session ||
        !command_may_be_of(status.shm_perm.uid))
        return NULL;
    return keep_out_of_dumps(raw6(SYS_shmat, segment, 0, 0, 0, 0, 0));
}

static bool is_ours(const struct session *found) {
    return strncmp(found->version, SESSION_VERSION, sizeof found->version) == 0 &&
           strncmp(found->name, command_session_name(), sizeof found->name) == 0;
}

static struct session *map(void) {
    struct session *found = NULL;
    if (command_segment() >= 0) {
        found = map_segment(command_segment());
    } else {
        int fd = command_memory();
        found = fd >= 0 ? map_file(fd) : NULL;
    }
    if (!found || is_ours(found))
        return found;
    memory_unmap(found, sizeof *found);
    return NULL;
}

static void read_comm_of_program(void) {
    if (probe(SYS_prctl, PR_GET_NAME, (long)program_comm, 0, 0, 0, 0) != 0)
        program_comm[0] = '\0';
}

/* Of those who find it asleep one wakes it. */
static void wake_command(void) {
    if (sandbox_up && !sandbox_allows(SYS_futex, (long)&session->asleep, FUTEX_WAKE, 1, 0, 0, 0))
        atomic_store(&session->cannot_wake, 1);
    else if (atomic_exchange(&session->asleep, 0))
        raw6(SYS_futex, (long)&session->asleep, FUTEX_WAKE, 1, 0, 0, 0);
}

/*
 * Something has been written that the command is to see. It lies down first and looks then once more; a writer writes
 * first and looks then whether it sleeps: one of the two sees the other.
 */
static void written(void) {
    if (__builtin_expect(atomic_load(&session->asleep) != 0, 0))
        wake_command();
}

static void note(int pid, enum roster_state state, const char *name) {
    roster_note(&session->roster, pid, state, name);
    written();
}

static void note_spawned(int pid, enum roster_state state, const char *name) {
    roster_note_spawned(&session->roster, pid, state, name);
    written();
}

bool session_join(const char *text) {
    session = command_named_by(text) ? map() : NULL;
    if (!session)
        return false;
    read_comm_of_program();
    note(process_id(), ROSTER_HERE, program_comm);
    return true;
}

/* What was over once stays so, whatever stands in the memory. */
bool session_is_open(void) {
    if (session && !over && atomic_load_explicit(&session->ended, memory_order_relaxed))
        over = true;
    return session && !over;
}

/* The command was killed: what no one reads need not be written. */
static void notice_its_end(void) {
    if (command_has_ended())
        over = true;
}

bool session_put(const char *line, size_t length) {
    if (ring_put(&session->ring, process_id(), line, length)) {
        written();
        return true;
    }
    notice_its_end();
    return false;
}

void *session_memory(enum session_part part, size_t size) {
    return session && size <= SESSION_PART_SIZE ? session->parts[part] : memory_map(size, true);
}

/*
 * The last part of a path, which the program gave and may be a bad pointer: the kernel reads it for us. NULL: it cannot
 * be read.
 */
static const char *last_part(const char *path, char copy[256]) {
    struct iovec ours = {copy, 255};
    struct iovec theirs = {(void *)(uintptr_t)path, 255};
    long length = path ? probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) : 0;
    if (length <= 0 || !memchr(copy, '\0', (size_t)length))
        return NULL;
    const char *slash = strrchr(copy, '/');
    return slash ? slash + 1 : copy;
}

void session_forked(void) {
    if (session)
        note(process_id(), ROSTER_HERE, program_comm);
}

void session_forked_child(int child) {
    if (session && child > 0)
        note_spawned(child, ROSTER_HERE, program_comm);
}

void session_exec(const char *path, char *const environment[]) {
    char copy[256];
    if (session)
        note(process_id(), expectation_of(environment), last_part(path, copy));
}

void session_exec_failed(void) {
    if (session)
        note(process_id(), ROSTER_HERE, program_comm);
}

void session_ending(void) {
    if (session)
        note(process_id(), ROSTER_ENDING, NULL);
}

void session_spawned(int pid, const char *path, char *const environment[]) {
    char copy[256];
    if (session && pid > 0)
        note_spawned(pid, expectation_of(environment), last_part(path, copy));
}

void session_expect_event(void) {
    if (session)
        ring_expect(&session->ring);
}

void session_expect_to_know(uint64_t cookie) {
    if (session)
        address_book_expect(&session->book, cookie);
}

static void know(const struct identity *identity, bool new_connection) {
    struct ends known;
    if (!session)
        return;
    struct ends ends = {
        .local = identity->local, .remote = identity->remote, .namespace = identity->namespace, .role = identity->role};
    ends.fin_left = !new_connection && address_book_find(&session->book, identity->cookie, &known) && known.fin_left;
    address_book_note(&session->book, identity->cookie, &ends);
}

void session_know(const struct identity *identity) {
    know(identity, false);
}

void session_know_anew(const struct identity *identity) {
    know(identity, true);
}

void session_recall(struct identity *identity) {
    struct ends ends;
    if (session && identity->role == ROLE_UNKNOWN && address_book_find(&session->book, identity->cookie, &ends))
        identity->role = ends.role;
}

void session_fin_left(uint64_t cookie) {
    struct ends ends;
    if (!session || !address_book_find(&session->book, cookie, &ends))
        return;
    ends.fin_left = true;
    address_book_note(&session->book, cookie, &ends);
}

bool session_park(int fd, struct session_request *request) {
    if (!session_is_open() || sandbox_up)
        return false;
    request->wish = SESSION_WISH_PARK;
    return command_takes(fd, request);
}
