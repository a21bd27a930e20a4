/* SPDX-License-Identifier: MIT */
/* harness: what the integration tests do all the time with the public API. */
#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

__attribute__((format(printf, 2, 0))) static connpool *open_by(const struct connpool_clock *clock, const char *format,
                                                               va_list arguments)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[2048];
    struct connpool_options options = {.size = sizeof(options),
                                       .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER,
                                       .json = json,
                                       .plugin_path = folders,
                                       .clock = clock};
    connpool_error error = {.text = ""};
    connpool *context;

    assert_true(vsnprintf(json, sizeof(json), format, arguments) < (int)sizeof(json));
    context = connpool_open_with(&options, &error);
    if (context == NULL) {
        fail_msg("open: %s", error.text);
    }
    return context;
}

connpool *harness_open(const char *format, ...)
{
    connpool *context;
    va_list arguments;

    va_start(arguments, format);
    context = open_by(NULL, format, arguments);
    va_end(arguments);
    return context;
}

connpool *harness_open_by(const struct connpool_clock *clock, const char *format, ...)
{
    connpool *context;
    va_list arguments;

    va_start(arguments, format);
    context = open_by(clock, format, arguments);
    va_end(arguments);
    return context;
}

void harness_close(connpool *context)
{
    assert_int_equal(connpool_close(context, HARNESS_LIMIT_MS, NULL), CONNPOOL_OK);
}

connpool_pool *harness_pool(connpool *context)
{
    connpool_pool *pool = connpool_pool_at(context, 0);

    assert_non_null(pool);
    return pool;
}

connpool_lease harness_acquire(connpool_pool *pool, const char *endpoint)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_error error = {.text = ""};

    if (connpool_acquire(pool, endpoint, HARNESS_LIMIT_MS, &lease, &error) != CONNPOOL_OK) {
        fail_msg("acquire: %s", error.text);
    }
    return lease;
}

connpool_error harness_acquire_fails(connpool_pool *pool, const char *endpoint, int limit_ms, connpool_status status)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_error error = {.text = ""};
    connpool_status found = connpool_acquire(pool, endpoint, limit_ms, &lease, &error);

    if (found != status) {
        fail_msg("acquire: %s instead of %s: %s", connpool_status_text(found), connpool_status_text(status),
                 error.text);
    }
    assert_int_equal(error.status, status);
    return error;
}

void harness_release(connpool_lease *lease)
{
    assert_int_equal(connpool_release(lease), CONNPOOL_OK);
}

void harness_discard(connpool_lease *lease)
{
    assert_int_equal(connpool_discard(lease), CONNPOOL_OK);
}

struct connpool_lease_info harness_info(const connpool_lease *lease)
{
    struct connpool_lease_info info = {.size = sizeof(info)};

    assert_int_equal(connpool_lease_info(lease, &info), CONNPOOL_OK);
    return info;
}

struct connpool_statistics harness_statistics(const connpool_pool *pool)
{
    struct connpool_statistics statistics = {.size = sizeof(statistics)};

    connpool_pool_statistics(pool, &statistics);
    return statistics;
}

unsigned harness_sockets(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct stat status;

        if (entry->d_name[0] != '.' && fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
            S_ISSOCK(status.st_mode)) {
            count++;
        }
    }
    (void)closedir(folder);
    return count;
}

static struct tcp_info info_of(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info;
}

uint64_t harness_received(int fd)
{
    return info_of(fd).tcpi_bytes_received;
}

uint64_t harness_sent(int fd)
{
    return info_of(fd).tcpi_bytes_sent;
}

void harness_await_taken_in(int fd, uint64_t received)
{
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;
    int left = 0;

    do {
        assert_true(harness_now_ms() < limit);
        (void)sched_yield();
        assert_int_equal(ioctl(fd, FIONREAD, &left), 0);
    } while (harness_received(fd) == received || left != 0);
}

int64_t harness_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
