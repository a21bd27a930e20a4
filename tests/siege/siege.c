/* SPDX-License-Identifier: MIT */
/* siege: see siege.h. */
#include "siege.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS   200
#define LIMIT_MS  4000  /* of each acquire */
#define LATE_MS   10000 /* over it: an acquire that came back so late hung */
#define STILL_MS  20000 /* without progress: something hangs */
#define SETTLE_MS 5000  /* a server notices that its clients are gone */
#define CLOSE_MS  5000
#define ATTEMPTS  5 /* of each thread while the server is down: then it waits, so that others can work */

struct field {
    const struct siege *siege;
    connpool_pool *pool;
    atomic_bool is_over;
    bool is_down; /* guarded by the lock, as are the two below */
    atomic_uint in_two_hands, wrong, late;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* a counter */
    pthread_cond_t is_up; /* the server */
    unsigned answered, failed;
    connpool_error last_error;
};

struct soldier {
    struct field *field;
    unsigned number;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t descriptors(void)
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

static void count(struct field *field, unsigned *counter)
{
    (void)pthread_mutex_lock(&field->lock);
    (*counter)++;
    (void)pthread_cond_signal(&field->moved);
    (void)pthread_mutex_unlock(&field->lock);
}

static struct connpool_statistics numbers_of(const connpool_pool *pool)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    connpool_pool_statistics(pool, &numbers);
    return numbers;
}

static void fail_still(struct field *field, const char *what)
{
    struct connpool_statistics numbers = numbers_of(field->pool);

    fail_msg("%s: no more of it came; %ju opening, %ju idle, %ju leased, %ju closing, %ju waiters; last error: %s",
             what, (uintmax_t)numbers.opening, (uintmax_t)(numbers.idle_base + numbers.idle_extra),
             (uintmax_t)numbers.leased, (uintmax_t)numbers.closing, (uintmax_t)numbers.waiters, field->last_error.text);
}

static unsigned read_counter(struct field *field, const unsigned *counter)
{
    unsigned value;

    (void)pthread_mutex_lock(&field->lock);
    value = *counter;
    (void)pthread_mutex_unlock(&field->lock);
    return value;
}

/* Until the counter has reached so many. */
static void await_progress(struct field *field, const unsigned *counter, unsigned target, const char *what)
{
    struct timespec limit;
    unsigned before;
    bool is_still = false;

    (void)pthread_mutex_lock(&field->lock);
    before = *counter - 1;
    while (*counter < target && !is_still) {
        if (*counter != before) {
            (void)clock_gettime(CLOCK_MONOTONIC, &limit);
            limit.tv_sec += STILL_MS / 1000;
            before = *counter;
        }
        is_still = pthread_cond_timedwait(&field->moved, &field->lock, &limit) != 0 && *counter == before;
    }
    (void)pthread_mutex_unlock(&field->lock);
    if (is_still) {
        fail_still(field, what);
    }
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

static void use(struct field *field, connpool_lease *lease, unsigned soldier, unsigned round)
{
    atomic_int *hands = hands_of(lease);
    enum siege_answer answer;
    char token[32];

    if (atomic_fetch_add(hands, 1) != 0) {
        atomic_fetch_add(&field->in_two_hands, 1);
    }
    (void)snprintf(token, sizeof(token), "t%04u-%08u", soldier, round);
    answer = field->siege->ask(lease, token);
    atomic_fetch_sub(hands, 1);
    if (answer == SIEGE_FAILED) {
        (void)connpool_discard(lease);
        count(field, &field->failed);
        return;
    }
    (void)connpool_release(lease);
    if (answer == SIEGE_WRONG) {
        atomic_fetch_add(&field->wrong, 1);
    }
    count(field, &field->answered);
}

static void keep_error(struct field *field, const connpool_error *error)
{
    (void)pthread_mutex_lock(&field->lock);
    field->last_error = *error;
    (void)pthread_mutex_unlock(&field->lock);
}

/* Where the server is down, until it is not. */
static void rest(struct field *field)
{
    (void)pthread_mutex_lock(&field->lock);
    while (field->is_down) {
        (void)pthread_cond_wait(&field->is_up, &field->lock);
    }
    (void)pthread_mutex_unlock(&field->lock);
}

static void *fight(void *argument)
{
    const struct soldier *soldier = argument;
    struct field *field = soldier->field;
    unsigned failures = 0;

    for (unsigned round = 0; !atomic_load(&field->is_over); round++) {
        connpool_lease lease;
        connpool_error error;
        int64_t begin_ms = now_ms();
        connpool_status status = connpool_acquire(field->pool, field->siege->endpoint, LIMIT_MS, &lease, &error);

        if (now_ms() - begin_ms > LIMIT_MS + LATE_MS) {
            atomic_fetch_add(&field->late, 1);
        }
        if (status == CONNPOOL_OK) {
            use(field, &lease, soldier->number, round);
            failures = 0;
        } else {
            keep_error(field, &error);
            count(field, &field->failed);
            if (++failures % ATTEMPTS == 0) {
                rest(field);
            }
        }
    }
    return NULL;
}

static void set_down(struct field *field, bool is_down)
{
    (void)pthread_mutex_lock(&field->lock);
    field->is_down = is_down;
    (void)pthread_cond_broadcast(&field->is_up);
    (void)pthread_mutex_unlock(&field->lock);
}

static void await_answers(struct field *field, const char *what)
{
    await_progress(field, &field->answered, read_counter(field, &field->answered) + field->siege->progress, what);
}

static void besiege(struct field *field)
{
    const struct siege *siege = field->siege;

    for (unsigned i = 0; i < siege->restarts; i++) {
        unsigned failed;

        await_answers(field, "answers before a kill");
        failed = read_counter(field, &field->failed);
        set_down(field, true);
        siege->kill(siege->server);
        await_progress(field, &field->failed, failed + THREADS, "failures after a kill");
        siege->restart(siege->server);
        set_down(field, false);
    }
    await_answers(field, "answers at the end");
    atomic_store(&field->is_over, true);
}

static connpool *open_pool(const struct siege *siege, bool collector)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[4096];
    struct connpool_options options = {
        .size = sizeof(options), .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER, .json = json, .plugin_path = folders};
    connpool_error error = {.text = ""};
    connpool *context;
    int length =
        snprintf(json, sizeof(json),
                 "{\"pools\": {\"p\": {\"manager\": \"%s\", \"background_collector\": %s,"
                 " \"max_size\": %d, \"min_idle\": %d%s}}}",
                 siege->manager, collector ? "true" : "false", SIEGE_CONNECTIONS, SIEGE_CONNECTIONS / 2, siege->keys);

    assert_in_range(length, 1, sizeof(json) - 1);
    context = connpool_open_with(&options, &error);
    if (context == NULL) {
        fail_msg("open: %s", error.text);
    }
    return context;
}

static unsigned sockets_in(const char *path, uint16_t port, unsigned state, bool either)
{
    FILE *file = fopen(path, "re");
    unsigned found = 0;
    unsigned own;
    unsigned other;
    unsigned its_state;
    char line[512];

    if (file == NULL) {
        return 0; /* a kernel without IPv6 */
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%x %x", &own, &other, &its_state) == 3 && its_state == state &&
            (own == port || (either && other == port))) {
            found++;
        }
    }
    (void)fclose(file);
    return found;
}

/* Sockets of this machine in that state whose own port this is, or (either) one of whose ports this is. */
static unsigned tcp_sockets(uint16_t port, unsigned state, bool either)
{
    return sockets_in("/proc/net/tcp", port, state, either) + sockets_in("/proc/net/tcp6", port, state, either);
}

static unsigned count_connections(const struct siege *siege)
{
    return siege->port != 0 ? tcp_sockets(siege->port, TCP_ESTABLISHED, false) : siege->connections(siege->server);
}

static unsigned count_forgotten(const struct siege *siege)
{
    return siege->port != 0 ? tcp_sockets(siege->port, TCP_CLOSE_WAIT, true) : 0;
}

/* Until the server holds exactly so many connections, and neither side one that the other closed. */
static void await_connections(const struct siege *siege, unsigned wanted)
{
    int64_t until_ms = now_ms() + SETTLE_MS;
    unsigned found;

    while ((found = count_connections(siege)) != wanted || count_forgotten(siege) != 0) {
        if (now_ms() > until_ms) {
            fail_msg("the server holds %u connections, %u are ours; %u are closed by one side only", found, wanted,
                     count_forgotten(siege));
        }
        (void)sched_yield();
    }
}

/* Every connection that began has ended or is parked, and none is anything else. */
static void check_numbers(const connpool_pool *pool)
{
    struct connpool_statistics numbers = numbers_of(pool);
    uint64_t idle = numbers.idle_base + numbers.idle_extra;
    uint64_t ended = 0;

    for (int i = 0; i < CONNPOOL_REASON_COUNT; i++) {
        ended += numbers.ended[i];
    }
    assert_int_equal(numbers.leased, 0);
    assert_int_equal(numbers.waiters, 0);
    assert_int_equal(numbers.resetting, 0);
    assert_int_equal(numbers.acquired, numbers.released);
    assert_in_range(idle, 1, SIEGE_CONNECTIONS);
    assert_int_equal(numbers.opened + numbers.unopened, ended + idle + numbers.opening + numbers.closing);
}

static bool is_settled(const connpool_pool *pool)
{
    struct connpool_statistics numbers = numbers_of(pool);

    return numbers.opening == 0 && numbers.closing == 0 && numbers.resetting == 0;
}

/* What the collector still does for those who left. */
static void await_settled(const connpool_pool *pool)
{
    int64_t until_ms = now_ms() + SETTLE_MS;

    while (!is_settled(pool)) {
        assert_true(now_ms() < until_ms);
        (void)sched_yield();
    }
}

static void check_outcome(struct field *field)
{
    struct connpool_statistics numbers;

    assert_int_equal(atomic_load(&field->in_two_hands), 0);
    assert_int_equal(atomic_load(&field->wrong), 0);
    assert_int_equal(atomic_load(&field->late), 0);
    await_settled(field->pool);
    check_numbers(field->pool);
    numbers = numbers_of(field->pool);
    await_connections(field->siege, (unsigned)(numbers.idle_base + numbers.idle_extra));
}

static void init_field(struct field *field, const struct siege *siege)
{
    pthread_condattr_t attributes;

    memset(field, 0, sizeof(*field));
    field->siege = siege;
    (void)pthread_mutex_init(&field->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&field->moved, &attributes);
    (void)pthread_cond_init(&field->is_up, NULL);
    (void)pthread_condattr_destroy(&attributes);
}

void siege_run(const struct siege *siege, bool collector)
{
    static struct soldier soldiers[THREADS];
    static pthread_t threads[THREADS];
    static struct field field; /* where the test fails its threads go on */
    size_t descriptors_before = descriptors();
    connpool *context;

    init_field(&field, siege);
    context = open_pool(siege, collector);
    field.pool = connpool_pool_at(context, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        soldiers[i] = (struct soldier){.field = &field, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, fight, &soldiers[i]), 0);
    }
    besiege(&field);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    check_outcome(&field);
    assert_int_equal(connpool_close(context, CLOSE_MS, NULL), CONNPOOL_OK);
    await_connections(siege, 0);
    assert_int_equal(descriptors(), descriptors_before);
    (void)pthread_cond_destroy(&field.is_up);
    (void)pthread_cond_destroy(&field.moved);
    (void)pthread_mutex_destroy(&field.lock);
}

/* ---- The two tests ---- */

static void (*run_manager)(bool collector);

static void without_a_collector(void **state)
{
    (void)state;
    run_manager(false);
}

static void with_the_collector(void **state)
{
    (void)state;
    run_manager(true);
}

int siege_tests(void (*run)(bool collector), int (*start)(void **state), int (*stop)(void **state))
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_collector),
        cmocka_unit_test(with_the_collector),
    };

    run_manager = run;
    return cmocka_run_group_tests(tests, start, stop);
}
