/* SPDX-License-Identifier: MIT */
/*
 * footprint: what the managers tcp and unix leave in the process that loads them. Around each call of a life (open,
 * acquire, release, discard, close) the thread's signal mask, the handlers of all signals, the locale, the folder, the
 * umask and the rounding of numbers stay as they were; descriptors and threads are as many at the end as at the
 * beginning (failures.md E20, B26).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "pool_fixture.h"
#include "server_folder.h"
#include "server_listener.h"

struct state_of_process {
    sigset_t mask;
    void (*handlers[NSIG])(int);
    int handler_flags[NSIG];
    char locale[256];
    char folder[256];
    mode_t umask;
    int rounding;
};

struct held {
    size_t descriptors, threads;
};

static struct state_of_process look(void)
{
    struct state_of_process seen;

    memset(&seen, 0, sizeof(seen));
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &seen.mask), 0);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action = {.sa_flags = 0};

        if (sigaction(number, NULL, &action) == 0) {
            seen.handlers[number] = action.sa_handler;
            seen.handler_flags[number] = action.sa_flags;
        }
    }
    (void)snprintf(seen.locale, sizeof(seen.locale), "%s", setlocale(LC_ALL, NULL));
    assert_non_null(getcwd(seen.folder, sizeof(seen.folder)));
    seen.umask = umask(0);
    (void)umask(seen.umask);
    seen.rounding = fegetround();
    return seen;
}

static void assert_as_before(const struct state_of_process *before)
{
    const struct state_of_process now = look();

    for (int number = 1; number < NSIG; number++) {
        assert_int_equal(sigismember(&now.mask, number), sigismember(&before->mask, number));
        assert_ptr_equal((void *)(uintptr_t)now.handlers[number], (void *)(uintptr_t)before->handlers[number]);
        assert_int_equal(now.handler_flags[number], before->handler_flags[number]);
    }
    assert_string_equal(now.locale, before->locale);
    assert_string_equal(now.folder, before->folder);
    assert_int_equal(now.umask, before->umask);
    assert_int_equal(now.rounding, before->rounding);
}

static size_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

static struct held count_held(void)
{
    return (struct held){.descriptors = open_descriptors(), .threads = process_threads()};
}

/* Everything that a connection can live through where its peer behaves. */
static void live(const char *manager, const char *collector, struct server_listener *listener)
{
    const struct state_of_process before = look();
    connpool *context = harness_open("{\"pools\": {\"p\": {\"manager\": \"%s\", \"background_collector\": %s, "
                                     "\"check_after\": 0}}}",
                                     manager, collector);
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease;
    int peers[2];

    assert_as_before(&before);
    lease = harness_acquire(pool, listener->endpoint);
    assert_as_before(&before);
    peers[0] = server_listener_accept(listener);
    harness_release(&lease);
    assert_as_before(&before);
    lease = harness_acquire(pool, listener->endpoint);
    assert_as_before(&before);
    assert_int_equal(harness_info(&lease).uses, 2);
    harness_discard(&lease);
    assert_as_before(&before);
    lease = harness_acquire(pool, listener->endpoint);
    peers[1] = server_listener_accept(listener);
    harness_release(&lease);
    connpool_pool_drain(pool);
    assert_as_before(&before);
    harness_close(context);
    assert_as_before(&before);
    (void)close(peers[0]);
    (void)close(peers[1]);
}

/* The first life may load what stays: the plugin, libc's own files. */
static void live_twice(const char *manager, const char *collector, struct server_listener *listener)
{
    struct held before;
    struct held after;

    live(manager, collector, listener);
    before = count_held();
    live(manager, collector, listener);
    after = count_held();
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.threads, before.threads);
}

static void tcp_leaves_the_process_as_it_was_E20(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    live_twice("tcp", "false", &listener);
    live_twice("tcp", "true", &listener);
    server_listener_close(&listener);
}

static void unix_leaves_the_process_as_it_was_E20(void **state)
{
    struct server_listener listener;
    struct server_folder folder;
    char path[SERVER_PATH_SIZE];

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "socket", path);
    server_listener_open_unix(&listener, path, 4);
    live_twice("unix", "false", &listener);
    live_twice("unix", "true", &listener);
    server_listener_close(&listener);
    server_folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_leaves_the_process_as_it_was_E20),
        cmocka_unit_test(unix_leaves_the_process_as_it_was_E20),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
