/* Where a connection lives: IPv6, IPv4 on an IPv6 socket, another network namespace. */
#include "pair.h"

#include <net/if.h>
#include <sched.h>

/* IPv4 between an IPv4 socket and an IPv6 one with a mapped address (::ffff:127.0.0.1): C is that one, or S. */
static struct pair mapped_pair(bool server_is_mapped) {
    struct sockaddr_in6 name = {.sin6_family = AF_INET6};
    struct pair pair;
    int listener;
    if (server_is_mapped) {
        int off = 0;
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        listener = MUST(socket(AF_INET6, SOCK_STREAM, 0));
        MUST(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
        MUST(bind(listener, (struct sockaddr *)&name, sizeof name)); /* any address */
        MUST(listen(listener, 1));
        struct sockaddr_storage bound = name_of(listener);
        v4.sin_port = ((struct sockaddr_in6 *)&bound)->sin6_port;
        pair.c = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(connect(pair.c, (struct sockaddr *)&v4, sizeof v4));
    } else {
        listener = listen_on_loopback(AF_INET, 1);
        struct sockaddr_storage bound = name_of(listener);
        MUST(inet_pton(AF_INET6, "::ffff:127.0.0.1", &name.sin6_addr));
        name.sin6_port = ((struct sockaddr_in *)&bound)->sin_port;
        pair.c = MUST(socket(AF_INET6, SOCK_STREAM, 0));
        MUST(connect(pair.c, (struct sockaddr *)&name, sizeof name));
    }
    pair.s = MUST(accept(listener, NULL, NULL));
    MUST(close(listener));
    introduce("C", pair.c);
    introduce("S", pair.s);
    return pair;
}

/* Which addresses: "v6", "mapped" (C is the mapped socket), "mapped-server" (S is). */
static struct pair pair_at(const char *where) {
    if (strcmp(where, "v6") != 0)
        return mapped_pair(strcmp(where, "mapped-server") == 0);
    struct pair pair = quiet_pair(AF_INET6);
    introduce("C", pair.c);
    introduce("S", pair.s);
    return pair;
}

/* The client ends with a FIN, then the server with its own. */
static int ends(char **arguments) {
    struct pair pair = pair_at(arguments[0]);
    MUST(close(pair.c));
    EXPECT(read_to_end(pair.s));
    MUST(close(pair.s));
    return 0;
}

static int held(char **arguments) {
    struct pair pair = pair_at(arguments[0]);
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    EXPECT(state_of(copy) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

static int unread(char **arguments) {
    struct pair pair = pair_at(arguments[0]);
    leave_unread(pair, 5);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

static void enter_namespace(const char *path) {
    int fd = MUST(open(path, O_RDONLY | O_CLOEXEC));
    MUST(setns(fd, CLONE_NEWNET));
    MUST(close(fd));
}

/* The process goes elsewhere, its connection stays where it was made. */
static int left_behind(char **arguments) {
    struct pair pair = make_pair();
    enter_namespace(arguments[0]);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* The same, and something holds it that only the kernel knows of: asking in the wrong place says "gone". */
static int left_behind_held(char **arguments) {
    struct pair pair = make_pair();
    int through[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    enter_namespace(arguments[0]);
    pid_t child = MUST(fork());
    if (child == 0) {
        char byte;
        MUST(close(pair.s));
        EXPECT(read(through[1], &byte, 1) == 1);
        MUST(close(pair.c));
        _exit(0);
    }
    tell("CHILD=%d", child);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    EXPECT(write(through[0], "", 1) == 1);
    tell_end(pair.s);
    MUST(waitpid(child, NULL, 0));
    return 0;
}

/* One connection ends here, then others in the namespace gone to (C) and, last, in the one left (N). */
static int two_namespaces(char **arguments) {
    struct pair first = quiet_pair(AF_INET), late = quiet_pair(AF_INET);
    introduce("F", first.c);
    introduce("N", late.c);
    MUST(close(first.c));
    EXPECT(read_to_end(first.s));
    enter_namespace(arguments[0]);
    struct pair pair = make_pair();
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(late.c));
    EXPECT(read_to_end(late.s));
    return 0;
}

/* One more client and its server: C1 and S1, C2 and S2... */
static void accept_name(int listener, int number, struct sockaddr *name, socklen_t *length) {
    char who[8];
    int client = connect_to(listener);
    int server = MUST(accept(listener, name, length));
    snprintf(who, sizeof who, "C%d", number);
    introduce(who, client);
    *who = 'S';
    introduce(who, server);
    MUST(close(client));
    EXPECT(read_to_end(server));
    MUST(close(server));
}

/* names v4|v6: the peer's name goes to the stack, to the heap, nowhere, where there is no or too little room for it. */
static int names(char **arguments) {
    int family = strcmp(arguments[0], "v6") == 0 ? AF_INET6 : AF_INET;
    int listener = listen_on_loopback(family, 1);
    struct heap {
        struct sockaddr_storage name;
        socklen_t length;
    } *heap = calloc(1, sizeof *heap);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    EXPECT(heap);
    accept_name(listener, 1, (struct sockaddr *)&name, &length);
    length = 0;
    accept_name(listener, 2, (struct sockaddr *)&name, &length); /* where the first one's name stands */
    length = 3;
    accept_name(listener, 3, (struct sockaddr *)&name, &length);
    heap->length = sizeof heap->name;
    accept_name(listener, 4, (struct sockaddr *)&heap->name, &heap->length);
    accept_name(listener, 5, NULL, NULL);
    accept_name(listener, 6, NULL, &length);
    int client = connect_to(listener);
    EXPECT(accept(listener, (struct sockaddr *)&name, (socklen_t *)1) == -1 && errno == EFAULT);
    MUST(close(client));
    free(heap);
    return 0;
}

SCENES({"names", names}, {"ends", ends}, {"held", held}, {"unread", unread}, {"left-behind", left_behind},
       {"left-behind-held", left_behind_held}, {"two-namespaces", two_namespaces})
