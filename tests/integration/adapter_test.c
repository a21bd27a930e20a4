/* SPDX-License-Identifier: MIT */
/*
 * adapter: what holds for an adapter, whatever its event loop (adapter_loop.h): requests end and time passes by the
 * loop alone, which sleeps while there is nothing to do and ends when its adapters are closed; they are closed anywhere
 * (failures.md B29). The time is the system's.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "adapter_loop.h"
#include "pool_fixture.h"

/* ---- Counted dispatches ---- */

static int dispatches;

connpool_status __real_connpool_reactor_dispatch(connpool_reactor *reactor);
connpool_status __wrap_connpool_reactor_dispatch(connpool_reactor *reactor);

connpool_status __wrap_connpool_reactor_dispatch(connpool_reactor *reactor)
{
    dispatches++;
    return __real_connpool_reactor_dispatch(reactor);
}

/* ---- A loop, a pool, an adapter, requests ---- */

struct scene {
    struct pool_fixture fixture;
    struct adapter_loop *loop;
    struct adapter *adapter;
    int told; /* of all requests */
};

struct request {
    struct scene *scene;
    connpool_request request;
    int told;
    connpool_status status;
    connpool_lease lease;
    void (*then)(struct request *request);
    struct request *other; /* for then */
};

static struct adapter *open_adapter(struct scene *scene)
{
    connpool_error error;
    struct adapter *adapter = adapter_try_open(scene->loop, scene->fixture.context, &error);

    if (adapter == NULL) {
        fail_msg("%s", error.text);
    }
    return adapter;
}

static void set_scene(struct scene *scene, const char *keys)
{
    *scene = (struct scene){.fixture = {.real_clock = true}};
    pool_fixture_open(&scene->fixture, "%s", keys);
    scene->loop = adapter_loop_new();
    scene->adapter = open_adapter(scene);
}

static void clear_scene(struct scene *scene, int adapters)
{
    assert_int_equal(adapter_loop_closed(scene->loop), adapters);
    adapter_loop_free(scene->loop);
    pool_fixture_close(&scene->fixture);
}

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct request *request = argument;

    (void)error;
    assert_int_equal(request->told, 0);
    request->told++;
    request->scene->told++;
    request->status = status;
    request->lease = *lease;
    if (request->then != NULL) {
        request->then(request);
    }
}

static void submit_to(struct adapter *adapter, struct scene *scene, struct request *request, const char *endpoint,
                      int timeout_ms)
{
    connpool_endpoint *handle;

    request->scene = scene;
    assert_int_equal(connpool_endpoint_get(scene->fixture.pool, endpoint, &handle, NULL), CONNPOOL_OK);
    assert_int_equal(
        connpool_acquire_async(adapter_reactor(adapter), handle, timeout_ms, tell, request, &request->request, NULL),
        CONNPOOL_OK);
    connpool_endpoint_put(handle);
}

static void submit(struct scene *scene, struct request *request)
{
    submit_to(scene->adapter, scene, request, "x", CONNPOOL_WAIT_FOREVER);
}

static void assert_told(const struct request *request, connpool_status status)
{
    assert_int_equal(request->told, 1);
    assert_int_equal(request->status, status);
}

/* ---- What is called in the loop ---- */

static void close_adapter(void *argument)
{
    struct scene *scene = argument;

    adapter_close(scene->adapter);
}

static void then_close(struct request *request)
{
    close_adapter(request->scene);
}

static void then_give(struct request *request)
{
    pool_give(&request->lease);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Requests ---- */

static void test_an_acquire_completes(void **state)
{
    struct scene scene;
    struct request request = {.then = then_close};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    submit(&scene, &request);
    assert_int_equal(request.told, 0);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_OK);
    pool_give(&request.lease);
    clear_scene(&scene, 1);
}

#define MANY 500

static void then_give_and_count(struct request *request)
{
    pool_give(&request->lease);
    if (request->scene->told == MANY) {
        close_adapter(request->scene);
    }
}

static void test_many_share_few(void **state)
{
    static struct request requests[MANY];
    struct scene scene;

    (void)state;
    memset(requests, 0, sizeof(requests));
    set_scene(&scene, "'max_size': 4");
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(1)));
    test_manager_set(TEST_RESET, test_slow(MILLISECONDS(1) / 100));
    for (int i = 0; i < MANY; i++) {
        requests[i].then = then_give_and_count;
        submit(&scene, &requests[i]);
    }
    adapter_loop_run(scene.loop);
    for (int i = 0; i < MANY; i++) {
        assert_told(&requests[i], CONNPOOL_OK);
    }
    assert_in_range(test_manager_opened(), 1, 4);
    clear_scene(&scene, 1);
}

/* Once there is something to feed. */
static void feed(void *argument)
{
    struct scene *scene = argument;

    if (test_manager_feed(false) == 0) {
        adapter_loop_after(scene->loop, 1, feed, scene);
    }
}

static void test_what_a_descriptor_ends(void **state)
{
    struct scene scene;
    struct request request = {.then = then_close};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    submit(&scene, &request);
    adapter_loop_after(scene.loop, 2, feed, &scene);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_OK);
    pool_give(&request.lease);
    clear_scene(&scene, 1);
}

static void *give(void *argument)
{
    pool_give(argument);
    return NULL;
}

static void give_in_a_thread(void *argument)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, give, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_what_another_thread_releases(void **state)
{
    struct scene scene;
    struct request request = {.then = then_close};
    connpool_lease lease;

    (void)state;
    set_scene(&scene, "'max_size': 1");
    lease = pool_take(&scene.fixture, "x");
    submit(&scene, &request);
    adapter_loop_after(scene.loop, 2, give_in_a_thread, &lease);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_OK);
    pool_give(&request.lease);
    clear_scene(&scene, 1);
}

static void cancel(void *argument)
{
    struct request *request = argument;

    assert_int_equal(connpool_request_cancel(&request->request), CONNPOOL_OK);
    close_adapter(request->scene);
}

static void test_a_cancelled_one_is_not_told(void **state)
{
    struct scene scene;
    struct request request = {0};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    submit(&scene, &request);
    adapter_loop_after(scene.loop, 2, cancel, &request);
    adapter_loop_run(scene.loop);
    assert_int_equal(request.told, 0);
    clear_scene(&scene, 1);
}

/* Nothing else happens in the loop meanwhile. */
static void test_a_time_limit_runs_out(void **state)
{
    struct scene scene;
    struct request request = {.then = then_close};
    connpool_lease lease;
    int64_t began;

    (void)state;
    set_scene(&scene, "'max_size': 1");
    lease = pool_take(&scene.fixture, "x");
    dispatches = 0;
    began = now_ms();
    submit_to(scene.adapter, &scene, &request, "x", 20);
    adapter_loop_run(scene.loop);
    assert_true(now_ms() - began >= 20);
    assert_told(&request, CONNPOOL_TIMED_OUT);
    assert_in_range(dispatches, 1, 4);
    pool_give(&lease);
    clear_scene(&scene, 1);
}

/* ---- Quiet ---- */

#define TICKS 5

struct quiet {
    struct scene scene;
    struct request request, waiting;
    int ticks;
};

static void tick(void *argument)
{
    struct quiet *quiet = argument;

    if (++quiet->ticks < TICKS) {
        adapter_loop_after(quiet->scene.loop, 2, tick, quiet);
    } else {
        close_adapter(&quiet->scene);
    }
}

/* One connection is idle, one request waits for another with a limit far away. */
static void test_the_loop_sleeps_while_nothing_is_to_be_done(void **state)
{
    struct quiet quiet = {.request = {.then = then_give}};
    connpool_lease lease;

    (void)state;
    set_scene(&quiet.scene, "'max_size': 1");
    lease = pool_take(&quiet.scene.fixture, "y");
    submit(&quiet.scene, &quiet.request);
    submit_to(quiet.scene.adapter, &quiet.scene, &quiet.waiting, "y", 60000);
    dispatches = 0;
    adapter_loop_after(quiet.scene.loop, 2, tick, &quiet);
    adapter_loop_run(quiet.scene.loop);
    assert_told(&quiet.request, CONNPOOL_OK);
    assert_told(&quiet.waiting, CONNPOOL_CLOSED);
    assert_in_range(dispatches, 1, 6); /* as many as there is something to do, not as long as it takes */
    pool_give(&lease);
    clear_scene(&quiet.scene, 1);
}

/* ---- Closing ---- */

static void test_closed_before_the_loop_runs(void **state)
{
    struct scene scene;

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    adapter_close(scene.adapter);
    adapter_loop_run(scene.loop);
    clear_scene(&scene, 1);
}

static void test_closed_with_requests_under_way_B29(void **state)
{
    struct scene scene;
    struct request requests[3] = {0};
    connpool_lease lease;

    (void)state;
    set_scene(&scene, "'max_size': 1");
    test_manager_set_endpoint("slow", TEST_OPEN, test_kind(TEST_NEVER));
    lease = pool_take(&scene.fixture, "x");
    submit(&scene, &requests[0]);
    submit(&scene, &requests[1]);
    submit_to(scene.adapter, &scene, &requests[2], "slow", CONNPOOL_WAIT_FOREVER);
    adapter_loop_after(scene.loop, 2, close_adapter, &scene);
    adapter_loop_run(scene.loop);
    for (int i = 0; i < 3; i++) {
        assert_told(&requests[i], CONNPOOL_CLOSED);
    }
    pool_give(&lease);
    clear_scene(&scene, 1);
}

static void then_close_twice(struct request *request)
{
    struct request *other = request->other;

    close_adapter(request->scene);
    close_adapter(request->scene);
    assert_int_equal(other->told, 0);
    assert_int_equal(adapter_loop_closed(request->scene->loop), 0);
}

static void test_closed_in_a_callback_B29(void **state)
{
    struct scene scene;
    struct request waiting = {.then = then_close}; /* that it closes is told to it */
    struct request request = {.then = then_close_twice, .other = &waiting};

    (void)state;
    set_scene(&scene, "'max_size': 1");
    submit(&scene, &request);
    submit(&scene, &waiting);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_OK);
    assert_told(&waiting, CONNPOOL_CLOSED);
    pool_give(&request.lease);
    clear_scene(&scene, 1);
}

static void then_submit_refused(struct request *request)
{
    struct scene *scene = request->scene;
    connpool_endpoint *handle;

    assert_int_equal(connpool_endpoint_get(scene->fixture.pool, "x", &handle, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_acquire_async(adapter_reactor(scene->adapter), handle, 0, tell, request, NULL, NULL),
                     CONNPOOL_CLOSED);
    connpool_endpoint_put(handle);
}

static void test_none_is_accepted_as_it_closes_B29(void **state)
{
    struct scene scene;
    struct request request = {.then = then_submit_refused};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    submit(&scene, &request);
    adapter_close(scene.adapter);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_CLOSED);
    clear_scene(&scene, 1);
}

/* ---- Two in one loop ---- */

struct pair {
    struct scene scene;
    struct adapter *second;
    struct request first_request, second_request;
};

static void close_both(struct pair *pair)
{
    adapter_close(pair->second);
    adapter_close(pair->scene.adapter);
}

static void then_close_both(struct request *request)
{
    close_both((struct pair *)request->scene);
}

static void open_pair(struct pair *pair, const char *keys)
{
    set_scene(&pair->scene, keys);
    pair->second = open_adapter(&pair->scene);
}

static void then_submit_second(struct request *request)
{
    struct pair *pair = (struct pair *)request->scene;

    submit_to(pair->second, &pair->scene, &pair->second_request, "y", CONNPOOL_WAIT_FOREVER);
}

/* The second is closed in its own callback, the first in that of another. */
static void test_two_in_one_loop_B29(void **state)
{
    struct pair pair = {.first_request = {.then = then_submit_second}, .second_request = {.then = then_close_both}};
    struct request waiting = {0};

    (void)state;
    open_pair(&pair, "'max_size': 1");
    submit(&pair.scene, &pair.first_request);
    submit(&pair.scene, &waiting);
    adapter_loop_run(pair.scene.loop);
    assert_told(&pair.first_request, CONNPOOL_OK);
    assert_told(&pair.second_request, CONNPOOL_OK);
    assert_told(&waiting, CONNPOOL_CLOSED);
    pool_give(&pair.first_request.lease);
    pool_give(&pair.second_request.lease);
    clear_scene(&pair.scene, 2);
}

static void then_close_second(struct request *request)
{
    struct pair *pair = (struct pair *)request->scene;

    adapter_close(pair->second);
    pair->second_request.then = then_close;
    submit_to(pair->scene.adapter, &pair->scene, &pair->second_request, "y", CONNPOOL_WAIT_FOREVER);
}

static void test_the_other_goes_on(void **state)
{
    struct pair pair = {.first_request = {.then = then_close_second}};

    (void)state;
    open_pair(&pair, POOL_DEFAULTS);
    submit(&pair.scene, &pair.first_request);
    adapter_loop_run(pair.scene.loop);
    assert_told(&pair.second_request, CONNPOOL_OK);
    pool_give(&pair.first_request.lease);
    pool_give(&pair.second_request.lease);
    clear_scene(&pair.scene, 2);
}

static void then_close_second_and_nest(struct request *request)
{
    struct pair *pair = (struct pair *)request->scene;

    adapter_close(pair->second);
    (void)adapter_loop_nest(pair->scene.loop, pair->scene.adapter);
    adapter_close(pair->scene.adapter);
}

/* A loop that runs inside a callback cannot close the other yet: nothing of it is lost. */
static void test_closed_while_a_callback_runs_the_loop_B29(void **state)
{
    struct pair pair = {.first_request = {.then = then_close_second_and_nest}};

    (void)state;
    open_pair(&pair, POOL_DEFAULTS);
    test_manager_set_endpoint("slow", TEST_OPEN, test_kind(TEST_NEVER));
    submit_to(pair.second, &pair.scene, &pair.second_request, "slow", CONNPOOL_WAIT_FOREVER);
    submit(&pair.scene, &pair.first_request);
    adapter_loop_run(pair.scene.loop);
    assert_told(&pair.first_request, CONNPOOL_OK);
    assert_told(&pair.second_request, CONNPOOL_CLOSED);
    pool_give(&pair.first_request.lease);
    clear_scene(&pair.scene, 2);
}

/* ---- Refused ---- */

static void test_not_opened_nothing_is_left(void **state)
{
    struct scene scene;
    connpool_error error = {0};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    assert_null(adapter_try_open(scene.loop, NULL, &error));
    assert_int_equal(error.status, CONNPOOL_NOT_FOUND);
    assert_null(adapter_try_open(scene.loop, NULL, NULL));
    if (adapter_loop_refuse(true)) {
        assert_null(adapter_try_open(scene.loop, scene.fixture.context, &error));
        assert_true(error.status == CONNPOOL_NO_MEMORY || error.status == CONNPOOL_INVALID);
        assert_non_null(strstr(error.text, "cannot watch its descriptor: "));
        assert_null(adapter_try_open(scene.loop, scene.fixture.context, NULL));
    }
    (void)adapter_loop_refuse(false);
    adapter_close(scene.adapter);
    adapter_loop_run(scene.loop);
    clear_scene(&scene, 1);
}

/* ---- The context goes first ---- */

static void close_context(void *argument)
{
    struct scene *scene = argument;

    assert_int_equal(connpool_close(scene->fixture.context, 0, NULL), CONNPOOL_OK);
}

static void test_the_context_is_closed_first(void **state)
{
    struct scene scene;
    struct request request = {.then = then_close};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    submit(&scene, &request);
    adapter_loop_after(scene.loop, 2, close_context, &scene);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_CLOSED);
    assert_int_equal(adapter_loop_closed(scene.loop), 1);
    adapter_loop_free(scene.loop);
    pool_fixture_assert_nothing_left(&scene.fixture);
}

/* Nobody but the reactor could go on with its reset: connpool_close does. */
static void close_context_and_adapter(void *argument)
{
    struct scene *scene = argument;

    assert_int_equal(pool_numbers(&scene->fixture).resetting, 1);
    assert_int_equal(test_manager_wake(), 1);
    assert_int_equal(connpool_close(scene->fixture.context, 5000, NULL), CONNPOOL_OK);
    close_adapter(scene);
}

static void then_give_and_close_later(struct request *request)
{
    pool_give(&request->lease);
    adapter_loop_after(request->scene->loop, 2, close_context_and_adapter, request->scene);
}

static void test_what_came_back_has_its_goodbye(void **state)
{
    struct scene scene;
    struct request request = {.then = then_give_and_close_later};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    test_manager_set(TEST_RESET, test_kind(TEST_SLOW_WAKE));
    submit(&scene, &request);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_OK);
    assert_string_equal(test_manager_log("cCd"), "c1 d1");
    assert_int_equal(adapter_loop_closed(scene.loop), 1);
    adapter_loop_free(scene.loop);
    pool_fixture_assert_nothing_left(&scene.fixture);
}

/* ---- A fork ---- */

static void end_child(void *argument)
{
    (void)argument;
    _exit(dispatches <= 2 ? 0 : 1);
}

/* The parent's descriptor, which stays readable, does not keep the child's loop awake. */
static void test_a_forked_loop_sleeps(void **state)
{
    struct scene scene;
    struct request request = {.then = then_close};
    int status = -1;
    pid_t child;

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    submit(&scene, &request);
    child = fork();
    if (child == 0) {
        dispatches = 0;
        adapter_loop_forked(scene.loop);
        adapter_loop_after(scene.loop, 5, end_child, NULL);
        adapter_loop_run(scene.loop);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_OK);
    pool_give(&request.lease);
    clear_scene(&scene, 1);
}

static void end_forked_child(void *argument)
{
    (void)argument;
    _exit(0);
}

/* The child returns, into the parent's loop, which it leaves without doing anything to it. */
static void then_fork(struct request *request)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        adapter_loop_after(request->scene->loop, 0, end_forked_child, NULL);
        return;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    submit_to(request->scene->adapter, request->scene, request->other, "y", CONNPOOL_WAIT_FOREVER);
}

static void test_a_callback_that_forks_leaves_the_parent_s_loop_alone(void **state)
{
    struct scene scene;
    struct request second = {.then = then_close};
    struct request request = {.then = then_fork, .other = &second};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    submit(&scene, &request);
    adapter_loop_run(scene.loop);
    assert_told(&second, CONNPOOL_OK);
    pool_give(&request.lease);
    pool_give(&second.lease);
    clear_scene(&scene, 1);
}

static void then_nest(struct request *request)
{
    (void)adapter_loop_nest(request->scene->loop, request->scene->adapter);
}

/* A child that has not closed what it inherited keeps the reactor's descriptors open: nobody is told of them. */
static void test_closed_while_a_child_holds_the_descriptors(void **state)
{
    struct scene scene;
    struct request request = {.then = then_nest};
    int pipes[2];
    int status = -1;
    pid_t child;

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    submit(&scene, &request);
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        char byte;

        (void)close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) == 0 ? 0 : 1);
    }
    adapter_close(scene.adapter);
    adapter_loop_run(scene.loop);
    assert_told(&request, CONNPOOL_CLOSED);
    clear_scene(&scene, 1);
    assert_int_equal(close(pipes[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(pipes[0]), 0);
}

/* ---- The loop goes first ---- */

static void test_the_loop_ends_first_B29(void **state)
{
    struct scene scene;
    struct request request = {0};

    (void)state;
    set_scene(&scene, POOL_DEFAULTS);
    submit(&scene, &request);
    if (adapter_loop_drop(scene.loop, scene.adapter)) {
        pool_fixture_close(&scene.fixture);
    } else {
        adapter_close(scene.adapter);
        adapter_loop_run(scene.loop);
        clear_scene(&scene, 1);
    }
    assert_told(&request, CONNPOOL_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_acquire_completes),
        cmocka_unit_test(test_many_share_few),
        cmocka_unit_test(test_what_a_descriptor_ends),
        cmocka_unit_test(test_what_another_thread_releases),
        cmocka_unit_test(test_a_cancelled_one_is_not_told),
        cmocka_unit_test(test_a_time_limit_runs_out),
        cmocka_unit_test(test_the_loop_sleeps_while_nothing_is_to_be_done),
        cmocka_unit_test(test_closed_before_the_loop_runs),
        cmocka_unit_test(test_closed_with_requests_under_way_B29),
        cmocka_unit_test(test_closed_in_a_callback_B29),
        cmocka_unit_test(test_none_is_accepted_as_it_closes_B29),
        cmocka_unit_test(test_two_in_one_loop_B29),
        cmocka_unit_test(test_the_other_goes_on),
        cmocka_unit_test(test_closed_while_a_callback_runs_the_loop_B29),
        cmocka_unit_test(test_not_opened_nothing_is_left),
        cmocka_unit_test(test_the_context_is_closed_first),
        cmocka_unit_test(test_what_came_back_has_its_goodbye),
        cmocka_unit_test(test_a_forked_loop_sleeps),
        cmocka_unit_test(test_a_callback_that_forks_leaves_the_parent_s_loop_alone),
        cmocka_unit_test(test_closed_while_a_child_holds_the_descriptors),
        cmocka_unit_test(test_the_loop_ends_first_B29),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
