/* SPDX-License-Identifier: MIT */
/*
 * pool_forked: in a forked child every function of connpool.h and async.h returns at once and answers as it says, also
 * where another thread of the parent held the locks at the fork, which nobody will ever give in the child (failures.md
 * B9, B10). The functions are those that the headers declare: one that is not in the table fails the test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock_holder.h"
#include "plain_manager.h"
#include "pool_fixture.h"
#include "reactor_client.h"
#include "sanitizer.h"

/* What the child was left by the parent. */
struct estate {
    struct pool_fixture fixture;
    connpool_endpoint *endpoint;
    connpool_lease lease;
    connpool_reactor *reactor;
    struct reactor_client client; /* whose request is under way */
    connpool_error error;         /* of the call */
    connpool_lease out;           /* likewise */
};

static const connpool_lease no_lease = CONNPOOL_LEASE_NONE;

static bool is_refused(const struct estate *estate, connpool_status status)
{
    return status == CONNPOOL_FORKED && estate->error.status == CONNPOOL_FORKED &&
           strstr(estate->error.text, "parent process") != NULL && estate->out.connection == NULL;
}

/* ---- The process's ---- */

static bool call_texts(struct estate *estate)
{
    (void)estate;
    return strcmp(connpool_status_text(CONNPOOL_FORKED), "forked") == 0 &&
           connpool_error_class_text(CONNPOOL_ERROR_TRANSIENT) != NULL && connpool_version() != NULL &&
           connpool_reason_text(CONNPOOL_REASON_DEAD) != NULL && connpool_plugin_folder() != NULL;
}

static bool call_use_allocator(struct estate *estate)
{
    (void)estate;
    return connpool_use_allocator(NULL) == CONNPOOL_INVALID; /* the process holds memory */
}

static void ignore_mistake(void *argument, const char *text)
{
    (void)argument;
    (void)text;
}

static bool call_check(struct estate *estate)
{
    struct connpool_options options = {.size = sizeof(options),
                                       .json = "{\"pools\": {\"p\": {\"manager\": \"test\"}}}"};
    char *understood = NULL;
    bool is_good;

    options.managers = test_manager_tables(&options.manager_count);
    is_good = connpool_check(&options, ignore_mistake, NULL, &understood, &estate->error) == CONNPOOL_OK;
    connpool_text_free(understood);
    return is_good;
}

static bool call_schema(struct estate *estate)
{
    uint32_t count;
    const struct connpool_manager *const *managers = test_manager_tables(&count);
    char *schema = connpool_schema(managers, count, &estate->error);
    bool is_there = schema != NULL;

    connpool_text_free(schema);
    return is_there;
}

static bool call_plugin_load(struct estate *estate)
{
    const struct connpool_manager *manager;

    return connpool_plugin_load(CONNPOOL_TEST_PLUGIN_FOLDER "/connpool_tcp.so", NULL, CONNPOOL_OPEN_TRUST_ANY_OWNER,
                                &manager, &estate->error) == CONNPOOL_OK;
}

/* A context of the child's own, used and closed. */
static bool call_open_with(struct estate *estate)
{
    connpool *own = plain_manager_open(IS_THREAD_SANITIZED ? "" : ", \"background_collector\": true", &estate->error);
    bool is_good =
        own != NULL &&
        connpool_acquire(connpool_pool_at(own, 0), NULL, 1000, &estate->out, &estate->error) == CONNPOOL_OK &&
        connpool_release(&estate->out) == CONNPOOL_OK;

    return connpool_close(own, 5000, NULL) == CONNPOOL_OK && is_good;
}

static bool call_open(struct estate *estate)
{
    return connpool_open("/nowhere/app.json", &estate->error) == NULL && estate->error.status == CONNPOOL_INVALID;
}

/* ---- Contexts and pools ---- */

static bool call_names(struct estate *estate)
{
    connpool_pool *pool = connpool_pool_get(estate->fixture.context, "p");

    return pool == estate->fixture.pool && connpool_pool_at(estate->fixture.context, 0) == pool &&
           strcmp(connpool_pool_name(pool), "p") == 0 && strcmp(connpool_pool_manager(pool), "test") == 0 &&
           connpool_pool_endpoint_name(pool, 0) == NULL && strcmp(connpool_endpoint_name(estate->endpoint), "x") == 0;
}

static bool call_limits(struct estate *estate)
{
    struct connpool_limits limits = {.size = sizeof(limits)};

    connpool_pool_limits(estate->fixture.pool, &limits);
    connpool_endpoint_limits(estate->endpoint, &limits);
    return limits.max_size == 10;
}

static bool call_statistics(struct estate *estate)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers), .opened = 1};
    static struct connpool_histograms histograms = {.size = sizeof(histograms)};

    connpool_pool_statistics(estate->fixture.pool, &numbers);
    connpool_pool_histograms(estate->fixture.pool, &histograms);
    if (numbers.opened != 0 || numbers_size(&numbers) != 0) {
        return false;
    }
    connpool_endpoint_statistics(estate->endpoint, &numbers);
    return numbers.opened == 0 && numbers_size(&numbers) == 0;
}

static bool call_observe(struct estate *estate)
{
    const struct connpool_observer observer = {.size = sizeof(observer)};

    connpool_pool_on_configure(estate->fixture.pool, NULL, NULL);
    return connpool_pool_observe(estate->fixture.pool, &observer) == CONNPOOL_FORKED;
}

static bool call_care(struct estate *estate)
{
    connpool_pool_drain(estate->fixture.pool);
    connpool_endpoint_drain(estate->endpoint);
    connpool_clock_moved(estate->fixture.context);
    return connpool_maintain(estate->fixture.context) == 0;
}

static bool call_endpoint_get(struct estate *estate)
{
    connpool_endpoint *other = NULL;

    return is_refused(estate, connpool_endpoint_get(estate->fixture.pool, "y", &other, &estate->error)) &&
           other == NULL;
}

static bool call_wait_ready(struct estate *estate)
{
    return is_refused(estate, connpool_wait_ready(estate->fixture.context, CONNPOOL_WAIT_FOREVER, &estate->error));
}

/* ---- Acquires ---- */

static bool call_acquire(struct estate *estate)
{
    return is_refused(estate,
                      connpool_acquire(estate->fixture.pool, "x", CONNPOOL_WAIT_FOREVER, &estate->out, &estate->error));
}

static bool call_endpoint_acquire(struct estate *estate)
{
    return is_refused(estate,
                      connpool_endpoint_acquire(estate->endpoint, CONNPOOL_WAIT_FOREVER, &estate->out, &estate->error));
}

static bool call_acquire_any(struct estate *estate)
{
    return is_refused(estate,
                      connpool_acquire_any(&estate->endpoint, 1, CONNPOOL_WAIT_FOREVER, &estate->out, &estate->error));
}

static bool call_try_acquire(struct estate *estate)
{
    return is_refused(estate, connpool_try_acquire(estate->endpoint, &estate->out, &estate->error));
}

/* ---- Leases ---- */

static bool call_lease_questions(struct estate *estate)
{
    struct connpool_lease_info info = {.size = sizeof(info)};

    return connpool_lease_valid(&estate->lease) == 0 && connpool_lease_data(&estate->lease) == NULL &&
           connpool_lease_native(&estate->lease, TEST_CONNECTION_TYPE) == NULL &&
           connpool_lease_info(&estate->lease, &info) == CONNPOOL_FORKED &&
           connpool_lease_info(&no_lease, &info) == CONNPOOL_STALE;
}

static void must_not_run(void *data)
{
    (void)data;
    _exit(99);
}

static bool call_lease_changes(struct estate *estate)
{
    return connpool_lease_set_data(&estate->lease, estate, must_not_run) == CONNPOOL_FORKED &&
           connpool_lease_note(&estate->lease, "child") == CONNPOOL_FORKED;
}

/* Also twice, of a copy, and at the end of a block: nothing happens, and the lease is as it was. */
static bool call_release(struct estate *estate)
{
    connpool_lease before = estate->lease;

    {
        CONNPOOL_SCOPED connpool_lease scoped = estate->lease;

        if (connpool_release(&estate->lease) != CONNPOOL_FORKED ||
            connpool_discard(&estate->lease) != CONNPOOL_FORKED || connpool_release(&scoped) != CONNPOOL_FORKED) {
            return false;
        }
    }
    return memcmp(&before, &estate->lease, sizeof(before)) == 0;
}

/* ---- Reactors ---- */

static void must_not_be_told(void *argument, connpool_status status, const connpool_lease *lease,
                             const connpool_error *error)
{
    (void)argument;
    (void)status;
    (void)lease;
    (void)error;
    _exit(99);
}

static bool call_reactor_new(struct estate *estate)
{
    return connpool_reactor_new(estate->fixture.context, &estate->error) == NULL &&
           is_refused(estate, estate->error.status);
}

static bool call_reactor(struct estate *estate)
{
    return connpool_reactor_fd(estate->reactor) == -1 && connpool_reactor_dispatch(estate->reactor) == CONNPOOL_FORKED;
}

static bool call_acquire_async(struct estate *estate)
{
    return is_refused(estate, connpool_acquire_async(estate->reactor, estate->endpoint, 0, must_not_be_told, NULL, NULL,
                                                     &estate->error));
}

static bool call_acquire_any_async(struct estate *estate)
{
    return is_refused(estate, connpool_acquire_any_async(estate->reactor, &estate->endpoint, 1, 0, must_not_be_told,
                                                         NULL, NULL, &estate->error));
}

static bool call_request_cancel(struct estate *estate)
{
    return connpool_request_cancel(&estate->client.request) == CONNPOOL_FORKED;
}

static bool call_reactor_close(struct estate *estate)
{
    return connpool_reactor_close(estate->reactor) == CONNPOOL_FORKED &&
           connpool_reactor_dispatch(estate->reactor) == CONNPOOL_FORKED; /* the memory stays */
}

/* ---- The ends ---- */

static bool call_endpoint_put(struct estate *estate)
{
    connpool_endpoint_put(estate->endpoint);
    return true;
}

static bool call_close(struct estate *estate)
{
    size_t left = 77;

    return connpool_close(estate->fixture.context, CONNPOOL_WAIT_FOREVER, &left) == CONNPOOL_FORKED &&
           connpool_close(estate->fixture.context, 0, &left) == CONNPOOL_FORKED && left == 77;
}

/* In this order; each with the functions that it calls. */
static const struct {
    const char *functions;
    bool (*call)(struct estate *estate); /* whether it answered well */
} calls[] = {
    {"connpool_status_text connpool_error_class_text connpool_version connpool_reason_text connpool_plugin_folder ",
     call_texts},
    {"connpool_use_allocator ", call_use_allocator},
    {"connpool_check connpool_text_free ", call_check},
    {"connpool_schema ", call_schema},
    {"connpool_plugin_load ", call_plugin_load},
    {"connpool_open_with ", call_open_with},
    {"connpool_open ", call_open},
    {"connpool_pool_get connpool_pool_at connpool_pool_name connpool_pool_manager connpool_pool_endpoint_name "
     "connpool_endpoint_name ",
     call_names},
    {"connpool_pool_limits connpool_endpoint_limits ", call_limits},
    {"connpool_pool_statistics connpool_endpoint_statistics connpool_pool_histograms ", call_statistics},
    {"connpool_pool_observe connpool_pool_on_configure ", call_observe},
    {"connpool_pool_drain connpool_endpoint_drain connpool_clock_moved connpool_maintain ", call_care},
    {"connpool_endpoint_get ", call_endpoint_get},
    {"connpool_wait_ready ", call_wait_ready},
    {"connpool_acquire ", call_acquire},
    {"connpool_endpoint_acquire ", call_endpoint_acquire},
    {"connpool_acquire_any ", call_acquire_any},
    {"connpool_try_acquire ", call_try_acquire},
    {"connpool_lease_valid connpool_lease_info connpool_lease_native connpool_lease_data ", call_lease_questions},
    {"connpool_lease_set_data connpool_lease_note ", call_lease_changes},
    {"connpool_release connpool_discard ", call_release},
    {"connpool_reactor_new ", call_reactor_new},
    {"connpool_reactor_fd connpool_reactor_dispatch ", call_reactor},
    {"connpool_acquire_async ", call_acquire_async},
    {"connpool_acquire_any_async ", call_acquire_any_async},
    {"connpool_request_cancel ", call_request_cancel},
    {"connpool_reactor_close ", call_reactor_close},
    {"connpool_endpoint_put ", call_endpoint_put},
    {"connpool_close ", call_close},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* ---- The table has them all ---- */

static void assert_is_called(const char *function)
{
    char word[96];

    (void)snprintf(word, sizeof(word), "%s ", function);
    for (size_t i = 0; i < CALLS; i++) {
        const char *found = strstr(calls[i].functions, word);

        if (found != NULL && (found == calls[i].functions || found[-1] == ' ')) {
            return;
        }
    }
    fail_msg("%s is not called after a fork: give it a row in the table of tests/unit/pool_forked_test.c", function);
}

/* The name before the first parenthesis of a declaration, "" where it is no function of ours. */
static void read_name(const char *declaration, char *name, size_t size)
{
    const char *end = strchr(declaration, '(');
    const char *begin = end;

    assert_non_null(end);
    while (begin > declaration && (begin[-1] == '_' || (begin[-1] >= 'a' && begin[-1] <= 'z'))) {
        begin--;
    }
    (void)snprintf(name, size, "%.*s", strncmp(begin, "connpool_", 9) == 0 ? (int)(end - begin) : 0, begin);
}

static size_t assert_header_is_called(const char *path)
{
    static char text[256 * 1024];
    FILE *file = fopen(path, "re");
    size_t count = 0;

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    for (const char *place = text; (place = strstr(place, "CONNPOOL_API ")) != NULL; place++) {
        char name[64];

        read_name(place, name, sizeof(name));
        if (name[0] != '\0') {
            assert_is_called(name);
            count++;
        }
    }
    return count;
}

static void test_every_function_is_called(void **state)
{
    (void)state;
    assert_true(assert_header_is_called(CONNPOOL_TEST_SOURCE_FOLDER "/include/connpool/connpool.h") > 30);
    assert_true(assert_header_is_called(CONNPOOL_TEST_SOURCE_FOLDER "/include/connpool/async.h") > 5);
}

/* ---- The fork ---- */

/* A call that waits for a lock ends the child by a signal; *called says which it was. */
static void live_as_child(struct estate *estate, _Atomic size_t *called)
{
    const struct itimerval limit = {.it_value = {.tv_sec = 10}};

    (void)setitimer(ITIMER_REAL, &limit, NULL);
    for (size_t i = 0; i < CALLS; i++) {
        atomic_store(called, i);
        estate->out = no_lease;
        memset(&estate->error, 0, sizeof(estate->error));
        if (!calls[i].call(estate)) {
            _exit(1);
        }
    }
    _exit(0);
}

/* The child ends by itself, and well. */
static void run_child(struct estate *estate)
{
    _Atomic size_t *called = mmap(NULL, sizeof(*called), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct lock_holder holder;
    int status = 0;
    pid_t child;

    assert_true(called != MAP_FAILED);
    lock_holder_start(&holder, estate->endpoint);
    child = fork();
    if (child == 0) {
        live_as_child(estate, called);
    }
    lock_holder_stop(&holder);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0) {
        fail_msg("the child ended with status 0x%x in %s", (unsigned)status, calls[atomic_load(called)].functions);
    }
    (void)munmap((void *)called, sizeof(*called));
}

static void run(const char *keys)
{
    struct estate estate = {.lease = CONNPOOL_LEASE_NONE};

    estate.fixture.real_clock = true;
    pool_fixture_open(&estate.fixture, "%s", keys);
    assert_int_equal(connpool_endpoint_get(estate.fixture.pool, "x", &estate.endpoint, NULL), CONNPOOL_OK);
    pool_park(&estate.fixture, "x", 2);
    estate.lease = pool_take(&estate.fixture, "x");
    test_manager_set_endpoint("slow", TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    estate.reactor = reactor_begin(&estate.fixture);
    reactor_submit(estate.reactor, &estate.client, &estate.fixture, "slow", 60000);
    reactor_turn(estate.reactor);
    run_child(&estate);
    /* The parent goes on. */
    assert_int_equal(estate.client.told, 0);
    while (test_manager_feed(false) == 0) {
        reactor_turn(estate.reactor);
    }
    reactor_run_until_told(estate.reactor, &estate.client);
    reactor_assert_told(&estate.client, CONNPOOL_OK);
    pool_give(&estate.client.lease);
    pool_give(&estate.lease);
    estate.lease = pool_take(&estate.fixture, "x");
    assert_true(lease_number(&estate.lease) <= 2);
    pool_give(&estate.lease);
    connpool_endpoint_put(estate.endpoint);
    reactor_end(estate.reactor);
    pool_fixture_close(&estate.fixture);
}

static void test_each_answers_at_once_B9_B10(void **state)
{
    (void)state;
    run(POOL_DEFAULTS);
}

static void test_each_answers_at_once_with_a_collector_B9_B10(void **state)
{
    (void)state;
    run("'background_collector': true");
}

static void test_each_answers_at_once_where_leases_are_noted_B9_B10(void **state)
{
    (void)state;
    run("'leak_after': 100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function_is_called),
        cmocka_unit_test(test_each_answers_at_once_B9_B10),
        cmocka_unit_test(test_each_answers_at_once_with_a_collector_B9_B10),
        cmocka_unit_test(test_each_answers_at_once_where_leases_are_noted_B9_B10),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
