/* SPDX-License-Identifier: MIT */
/* server_lines: see server_lines.h. One thread and an epoll for all connections. */
#include "server_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_listener.h"

#define BACKLOG 2048

static void serve(int epoll, int listener, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    char bytes[4096];
    ssize_t length;

    if (fd == listener) {
        event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        return;
    }
    length = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (length > 0) {
        (void)send(fd, bytes, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)close(fd);
    }
}

noreturn static void live(int listener, pid_t parent)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = listener}};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct rlimit limit;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        _exit(1);
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) == 1) {
            serve(epoll, listener, event.data.fd);
        }
    }
}

void server_lines_start(struct server_lines *server, const char *path)
{
    struct server_listener listener;
    pid_t parent = getpid();

    if (path == NULL) {
        server_listener_open(&listener, "127.0.0.1", 0, BACKLOG);
    } else {
        server_listener_open_unix(&listener, path, BACKLOG);
    }
    server->port = listener.port;
    (void)fflush(NULL);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        live(listener.fd, parent);
    }
    server_listener_close(&listener);
}

void server_lines_end(struct server_lines *server)
{
    (void)kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
