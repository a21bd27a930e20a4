/* SPDX-License-Identifier: MIT */
/* peer: see peer.h. */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "setting.h"

/* A connect on this machine that is answered at all is answered at once. */
#define FULL_AFTER_MS 100
#define MOST_FILLERS  16

union address {
    struct sockaddr any;
    struct sockaddr_in internet;
    struct sockaddr_un local;
};

static socklen_t address_of(const struct peer *peer, union address *address)
{
    memset(address, 0, sizeof(*address));
    if (peer->path[0] == '\0') {
        address->internet.sin_family = AF_INET;
        address->internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(address->internet);
    }
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, peer->path, strlen(peer->path));
    address->local.sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(peer->path));
}

static void bind_to_free(struct peer *peer)
{
    union address address;
    socklen_t length = address_of(peer, &address);

    peer->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CONFORM(peer->fd >= 0 && bind(peer->fd, &address.any, length) == 0, "no socket for a peer: %s", strerror(errno));
    length = sizeof(address);
    (void)getsockname(peer->fd, &address.any, &length);
    if (peer->path[0] == '\0') {
        peer->port = ntohs(address.internet.sin_port);
    }
}

/* Connect until a connect is not answered any more. */
static void fill(const struct peer *peer)
{
    union address address;
    socklen_t length = sizeof(address);

    (void)getsockname(peer->fd, &address.any, &length);
    for (int i = 0; i < MOST_FILLERS; i++) {
        struct pollfd filler = {.events = POLLOUT};

        filler.fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(filler.fd, &address.any, length) != 0 &&
            (errno == EAGAIN || poll(&filler, 1, FULL_AFTER_MS) == 0)) {
            return;
        }
    }
    conform_fail("a queue of connections does not fill");
}

static void treat(enum peer_kind kind, int fd)
{
    static const char garbage[] = "\xff\x00\x7f\r\n\x16\x03 (this is no protocol) \x01\x02\x03\x04\r\n\r\n";
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    char heard[4096];

    if (kind == PEER_GARBLED) {
        (void)send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
    }
    if (kind == PEER_RESETS) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    } else {
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, heard, sizeof(heard), 0) > 0) {
        }
    }
    (void)close(fd);
}

static void *one_connection(void *argument)
{
    uintptr_t both = (uintptr_t)argument;

    treat((enum peer_kind)(both >> 32), (int)(uint32_t)both);
    return NULL;
}

/* In a process of its own, so that its descriptors and threads are not the case's. */
noreturn static void serve(const struct peer *peer, pid_t parent)
{
    pthread_t thread;
    int fd;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    while ((fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        void *both = (void *)((uintptr_t)peer->kind << 32 | (uint32_t)fd);

        if (pthread_create(&thread, NULL, one_connection, both) == 0) {
            (void)pthread_detach(thread);
        }
    }
    _exit(1);
}

static void start(struct peer *peer)
{
    pid_t self = getpid();
    pid_t pid;

    if (peer->kind == PEER_REFUSES) {
        return;
    }
    CONFORM(listen(peer->fd, peer->kind == PEER_FULL ? 0 : 64) == 0, "a peer cannot listen: %s", strerror(errno));
    if (peer->kind == PEER_FULL) {
        fill(peer);
    } else if (peer->kind != PEER_SILENT) {
        pid = fork();
        if (pid == 0) {
            serve(peer, self);
        }
        CONFORM(pid > 0, "no process for a peer: %s", strerror(errno));
        (void)close(peer->fd);
    }
}

void peer_open(struct peer *peer, const struct conform_subject *subject, enum peer_kind kind)
{
    *peer = (struct peer){.kind = kind};
    if (subject->port_option == NULL && subject->path_option == NULL) {
        conform_skip("the subject does not say which option leads to a peer");
    }
    if (subject->port_option == NULL) {
        (void)snprintf(peer->path, sizeof(peer->path), "@conform-%d-%d", (int)getpid(), (int)kind);
    }
    bind_to_free(peer);
    start(peer);
}

json_t *peer_endpoint(const struct peer *peer, const struct conform_subject *subject)
{
    json_t *endpoint = setting_endpoint(subject);

    if (subject->port_option != NULL) {
        (void)json_object_set_new(endpoint, subject->port_option, json_integer(peer->port));
    } else {
        (void)json_object_set_new(endpoint, subject->path_option, json_string(peer->path));
    }
    return endpoint;
}
