/* SPDX-License-Identifier: MIT */
/*
 * Two hundred threads on ten connections while their server is killed and started again (A21, A22): none hangs, no
 * connection is in two hands, no answer is another one's, nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_echo.h"

#define THREADS     200
#define CONNECTIONS 10
#define RESTARTS    5
#define PROGRESS    400 /* exchanges, or failures, that are waited for in each phase */
#define MESSAGE     16

struct storm {
    connpool_pool *pool;
    char endpoint[32];
    atomic_bool is_over;
    atomic_uint in_two_hands, wrong_answers, timed_out;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned answered, failed; /* guarded by the lock */
};

static void count(struct storm *storm, unsigned *counter)
{
    (void)pthread_mutex_lock(&storm->lock);
    (*counter)++;
    (void)pthread_cond_signal(&storm->moved);
    (void)pthread_mutex_unlock(&storm->lock);
}

/* Until the counter has moved on by PROGRESS. */
static void await(struct storm *storm, const unsigned *counter)
{
    unsigned target;

    (void)pthread_mutex_lock(&storm->lock);
    target = *counter + PROGRESS;
    while (*counter < target) {
        (void)pthread_cond_wait(&storm->moved, &storm->lock);
    }
    (void)pthread_mutex_unlock(&storm->lock);
}

/* Send a message that nobody else sends and read it back; false: the connection failed. */
static bool exchange(struct storm *storm, int fd, unsigned thread, unsigned round)
{
    char message[MESSAGE + 1];
    char answer[MESSAGE + 1] = "";

    (void)snprintf(message, sizeof(message), "%06u %08u\n", thread, round);
    if (send(fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE || recv(fd, answer, MESSAGE, MSG_WAITALL) != MESSAGE) {
        return false;
    }
    if (memcmp(message, answer, MESSAGE) != 0) {
        atomic_fetch_add(&storm->wrong_answers, 1);
    }
    return true;
}

/* The number of hands that a connection is in stays with it as user data. */
static atomic_int *hands_of(const connpool_lease *lease)
{
    atomic_int *hands = connpool_lease_data(lease);

    if (hands == NULL) {
        hands = calloc(1, sizeof(*hands));
        (void)connpool_lease_set_data(lease, hands, free);
    }
    return hands;
}

static void use(struct storm *storm, connpool_lease *lease, unsigned thread, unsigned round)
{
    atomic_int *hands = hands_of(lease);
    bool is_answered;

    if (atomic_fetch_add(hands, 1) != 0) {
        atomic_fetch_add(&storm->in_two_hands, 1);
    }
    is_answered = exchange(storm, connpool_tcp(lease), thread, round);
    atomic_fetch_sub(hands, 1);
    if (is_answered) {
        (void)connpool_release(lease);
    } else {
        (void)connpool_discard(lease);
    }
    count(storm, is_answered ? &storm->answered : &storm->failed);
}

struct worker {
    struct storm *storm;
    unsigned number;
};

static void *work(void *argument)
{
    const struct worker *worker = argument;
    struct storm *storm = worker->storm;

    for (unsigned round = 0; !atomic_load(&storm->is_over); round++) {
        connpool_lease lease;
        connpool_status status = connpool_acquire(storm->pool, storm->endpoint, HARNESS_LIMIT_MS, &lease, NULL);

        if (status == CONNPOOL_OK) {
            use(storm, &lease, worker->number, round);
        } else {
            atomic_fetch_add(&storm->timed_out, status == CONNPOOL_TIMED_OUT);
            count(storm, &storm->failed);
        }
    }
    return NULL;
}

static void weather(struct storm *storm, struct server_echo *echo)
{
    for (int i = 0; i < RESTARTS; i++) {
        await(storm, &storm->answered);
        server_echo_kill(echo);
        await(storm, &storm->failed);
        server_echo_restart(echo);
    }
    await(storm, &storm->answered);
    atomic_store(&storm->is_over, true);
}

static void a_storm(const char *collector)
{
    static struct worker workers[THREADS];
    static pthread_t threads[THREADS];
    struct storm storm = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    unsigned sockets = harness_sockets();
    struct connpool_statistics statistics;
    uint64_t ended = 0;
    struct server_echo echo;
    connpool *context;

    server_echo_start(&echo);
    context = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"background_collector\": %s, \"max_size\": %d,"
                           " \"min_idle\": %d}}}",
                           collector, CONNECTIONS, CONNECTIONS / 2);
    storm.pool = harness_pool(context);
    (void)snprintf(storm.endpoint, sizeof(storm.endpoint), "127.0.0.1:%u", echo.port);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.storm = &storm, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    weather(&storm, &echo);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    statistics = harness_statistics(storm.pool);
    for (int i = 0; i < CONNPOOL_REASON_COUNT; i++) {
        ended += statistics.ended[i];
    }
    assert_int_equal(atomic_load(&storm.in_two_hands), 0);
    assert_int_equal(atomic_load(&storm.wrong_answers), 0);
    assert_int_equal(atomic_load(&storm.timed_out), 0);
    assert_int_equal(statistics.leased, 0);
    assert_int_equal(statistics.waiters, 0);
    assert_true(statistics.idle_base + statistics.idle_extra <= CONNECTIONS);
    assert_int_equal(statistics.opened + statistics.ended[CONNPOOL_REASON_OPEN],
                     ended + statistics.idle_base + statistics.idle_extra);
    harness_close(context);
    server_echo_kill(&echo);
    assert_int_equal(harness_sockets(), sockets);
}

static void without_a_collector(void **state)
{
    (void)state;
    a_storm("false");
}

static void with_the_collector(void **state)
{
    (void)state;
    a_storm("true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_collector),
        cmocka_unit_test(with_the_collector),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
