/* SPDX-License-Identifier: MIT */
/* dial over Unix sockets: paths and names, their length, errors that say what to do, a backlog that is full. */
#include "dial_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "server_folder.h"
#include "server_listener.h"

static void connects_to_unix_paths_and_names(void **state)
{
    struct server_folder folder;
    struct server_listener listener;
    char path[SERVER_PATH_SIZE];
    int fd;

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "server", path);
    server_listener_open_unix(&listener, path, 4);
    fd = connect_to(OPTIONS(.path = path));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    (void)close(fd);
    server_listener_close(&listener);
    (void)snprintf(path, sizeof(path), "@connpool-dial-test-%d", (int)getpid());
    server_listener_open_unix(&listener, path, 4);
    (void)close(connect_to(OPTIONS(.path = path)));
    server_listener_close(&listener);
    server_folder_fini(&folder);
}

/* 107 bytes are legal for both, one more is not. */
static void unix_length_is_checked_d16(void **state)
{
    char path[128];
    struct server_listener listener;
    struct connpool_fault fault;

    (void)state;
    memset(path, 'x', sizeof(path));
    (void)snprintf(path, sizeof(path), "@%d", (int)getpid());
    path[strlen(path)] = 'x';
    path[107] = '\0';
    server_listener_open_unix(&listener, path, 1); /* '@' and 106 bytes: what the kit can */
    (void)close(connect_to(OPTIONS(.path = path)));
    server_listener_close(&listener);
    path[0] = '/';
    path[107] = '\0';
    assert_int_equal(fail_to_connect(OPTIONS(.path = path)).os_error, ENOENT);
    path[107] = 'x';
    path[108] = '\0';
    cp_fault_init(&fault);
    assert_null(cp_dial_start(&fixture.host.table, OPTIONS(.path = path), &fault));
    assert_non_null(strstr(fault.text, "has 108 bytes, a Unix socket's has at most 107"));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_CONFIGURATION);
    path[0] = '@';
    assert_int_equal(fail_to_connect(OPTIONS(.path = path)).os_error, ECONNREFUSED);
    path[108] = 'x';
    path[109] = '\0';
    cp_fault_init(&fault);
    assert_null(cp_dial_start(&fixture.host.table, OPTIONS(.path = path), &fault));
    assert_non_null(strstr(fault.text, "has 108 bytes, a Unix socket's has at most 107 after the '@'"));
}

static void expect_unix_fault(const char *path, int32_t error_class, const char *text)
{
    struct connpool_fault fault = fail_to_connect(OPTIONS(.path = path));

    assert_int_equal(fault.error_class, error_class);
    assert_non_null(strstr(fault.text, path));
    assert_non_null(strstr(fault.text, text));
}

static void unix_errors_have_hints_d16(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct server_folder folder;
    struct server_listener listener;
    char path[SERVER_PATH_SIZE];
    int datagram;

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "none", path);
    expect_unix_fault(path, CONNPOOL_ERROR_REFUSED, "there is no such file; is the server running?");
    server_folder_path(&folder, "stale", path);
    server_listener_open_unix(&listener, path, 4);
    server_listener_close(&listener);
    expect_unix_fault(path, CONNPOOL_ERROR_REFUSED, "nobody listens there; a server that ended left it behind");
    server_folder_write(&folder, "file", "x");
    server_folder_path(&folder, "file", path);
    expect_unix_fault(path, CONNPOOL_ERROR_CONFIGURATION, "it is not a socket");
    server_folder_path(&folder, "file/below", path);
    expect_unix_fault(path, CONNPOOL_ERROR_CONFIGURATION, "a part of the path is no folder");
    server_folder_path(&folder, "datagram", path);
    datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, sizeof(path));
    assert_int_equal(bind(datagram, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_unix_fault(path, CONNPOOL_ERROR_CONFIGURATION,
                      "it is a datagram or packet socket, expected a stream socket");
    (void)close(datagram);
    server_folder_fini(&folder);
}

/* A4: nothing to poll for; tried again by time, sooner at first. */
static void full_unix_backlog_is_tried_again_a4(void **state)
{
    static const int64_t delays[] = {1, 2, 4, 8, 16, 32, 50, 50};
    struct connpool_wait wait;
    struct connpool_dial *dial;
    struct black_hole hole;
    char path[SERVER_PATH_SIZE];
    int64_t now = 5;
    unsigned before;

    (void)state;
    (void)snprintf(path, sizeof(path), "@connpool-dial-test-%d", (int)getpid());
    server_listener_open_unix(&hole.listener, path, 0);
    hole.count = server_listener_fill(&hole.listener, hole.fillers, 8);
    before = fixture_descriptors();
    dial = start(OPTIONS(.path = path));
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        assert_int_equal(fixture_step(step, dial, now, &wait, NULL), CONNPOOL_STEP_AGAIN);
        assert_int_equal(wait.fd, -1);
        assert_int_equal(wait.at, now + delays[i] * CP_MILLISECOND);
        assert_int_equal(fixture_step(step, dial, wait.at - 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
        assert_int_equal(wait.at, now + delays[i] * CP_MILLISECOND);
        now = wait.at;
    }
    (void)close(server_listener_accept(&hole.listener));
    assert_int_equal(fixture_step(step, dial, now, &wait, NULL), CONNPOOL_STEP_DONE);
    cp_dial_stop(dial);
    assert_int_equal(fixture_descriptors(), before);
    black_hole_close(&hole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_to_unix_paths_and_names),
        cmocka_unit_test(unix_length_is_checked_d16),
        cmocka_unit_test(unix_errors_have_hints_d16),
        cmocka_unit_test(full_unix_backlog_is_tried_again_a4),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
