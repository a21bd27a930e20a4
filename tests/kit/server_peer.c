/* SPDX-License-Identifier: MIT */
/* server_peer: what one does with either end of a connected socket in a test. */
#include "server_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define PATIENCE_MS 5000

void server_peer_reset(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    assert_int_equal(close(fd), 0);
}

void server_peer_half_close(int fd)
{
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

static bool mute(int fd)
{
    /* A socket filter that keeps no byte of any packet: TCP drops it before it looks at it. */
    struct sock_filter keep_nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &keep_nothing};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

void server_peer_mute(int fd)
{
    assert_true(mute(fd));
}

bool server_peer_can_mute(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool can = fd >= 0 && mute(fd);

    (void)close(fd);
    return can;
}

void server_peer_unmute(int fd)
{
    int unused = 0;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)), 0);
}

void server_peer_send(int fd, const char *text)
{
    size_t length = strlen(text);

    assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

void server_peer_await(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
}

void server_peer_expect(int fd, const char *text)
{
    size_t length = strlen(text);
    char found[512];
    size_t have = 0;

    assert_true(length < sizeof(found));
    while (have < length) {
        ssize_t more;

        server_peer_await(fd);
        more = recv(fd, found + have, length - have, 0);
        assert_true(more > 0);
        have += (size_t)more;
    }
    found[have] = '\0';
    assert_string_equal(found, text);
}

int server_peer_line(int fd, char *line, size_t size)
{
    for (size_t have = 0; have + 1 < size; have++) {
        if (recv(fd, line + have, 1, 0) != 1) {
            return -1;
        }
        if (line[have] == '\n') {
            line[have > 0 && line[have - 1] == '\r' ? have - 1 : have] = '\0';
            return 0;
        }
    }
    return -1;
}

int server_peer_option(int fd, int level, int option)
{
    int value = 0;
    socklen_t length = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}
