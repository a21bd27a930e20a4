/* SPDX-License-Identifier: MIT */
/* test_manager: what tests say and ask: settings, records and counts. The plugin itself is test_manager_steps.c. */
#include "test_manager.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_manager_state.h"

#define MOST_SETTINGS  64
#define MOST_RECORDS   16384
#define MOST_ENDPOINTS 64
#define MOST_WAKES     4096

/* What a connection lives in: the first MOST_ENDPOINTS names are counted one by one. */
struct endpoint_count {
    char name[24];
    size_t live, most;
};

struct setting {
    struct test_behaviour behaviour;
    const char *endpoint; /* NULL: any */
    uint64_t nth;         /* 0: any */
    uint32_t connection;  /* 0: any */
    enum test_operation operation;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unblocked = PTHREAD_COND_INITIALIZER;
static TAILQ_HEAD(, test_state) connections = TAILQ_HEAD_INITIALIZER(connections);

static struct setting settings[MOST_SETTINGS];
static _Atomic size_t setting_count;
static _Atomic(test_choose_fn *) chooser;

static struct {
    char letter;
    uint32_t number;
} records[MOST_RECORDS];
static size_t record_count;
static atomic_bool records_calls = true;
static char owners[MOST_RECORDS][24]; /* endpoint by connection number */

static struct endpoint_count endpoints[MOST_ENDPOINTS];
static size_t endpoint_count;
static _Atomic uint32_t epoch;
static size_t live, most, destroyed;
static uint32_t last_number;
static _Atomic uint64_t calls[TEST_OPERATIONS];
static _Atomic int64_t deadlines[TEST_OPERATIONS];
static atomic_bool for_loop;
static atomic_int endpoint_states, pool_states;

static uint64_t wakes[MOST_WAKES];
static size_t wake_count;
static _Atomic(const struct connpool_host *) host_for_ever;
static bool blocks;
static size_t blocked;

static char breach[256];
static atomic_int breaches;

void test_manager_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void test_manager_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

void test_manager_breach(const char *format, ...)
{
    va_list arguments;

    if (atomic_fetch_add(&breaches, 1) == 0) {
        va_start(arguments, format);
        (void)vsnprintf(breach, sizeof(breach), format, arguments);
        va_end(arguments);
    }
}

size_t test_manager_breaches(void)
{
    return (size_t)atomic_load(&breaches);
}

void test_manager_assert_rules(void)
{
    if (atomic_load(&breaches) != 0) {
        fail_msg("%d breaches of the plugin ABI, the first: %s", atomic_load(&breaches), breach);
    }
}

void test_manager_reset(void)
{
    test_manager_lock();
    setting_count = 0;
    chooser = NULL;
    record_count = 0;
    records_calls = true;
    memset(owners, 0, sizeof(owners));
    memset(endpoints, 0, sizeof(endpoints));
    endpoint_count = 0;
    TAILQ_INIT(&connections);
    epoch++;
    live = most = destroyed = 0;
    endpoint_states = pool_states = 0;
    last_number = 0;
    for (size_t i = 0; i < TEST_OPERATIONS; i++) {
        calls[i] = 0;
        deadlines[i] = 0;
    }
    wake_count = 0;
    blocks = true;
    breaches = 0;
    test_manager_unlock();
}

/* ---- What operations answer ---- */

static void add_setting(struct setting setting)
{
    test_manager_lock();
    assert_true(setting_count < MOST_SETTINGS);
    settings[setting_count++] = setting;
    test_manager_unlock();
}

void test_manager_set(enum test_operation operation, struct test_behaviour behaviour)
{
    add_setting((struct setting){.operation = operation, .behaviour = behaviour});
}

void test_manager_set_endpoint(const char *endpoint, enum test_operation operation, struct test_behaviour behaviour)
{
    add_setting((struct setting){.operation = operation, .endpoint = endpoint, .behaviour = behaviour});
}

void test_manager_set_connection(uint32_t number, enum test_operation operation, struct test_behaviour behaviour)
{
    add_setting((struct setting){.operation = operation, .connection = number, .behaviour = behaviour});
}

void test_manager_set_nth(uint64_t nth, enum test_operation operation, struct test_behaviour behaviour)
{
    add_setting((struct setting){.operation = operation, .nth = nth, .behaviour = behaviour});
}

void test_manager_choose_by(test_choose_fn *choose)
{
    atomic_store(&chooser, choose);
}

static bool setting_fits(const struct setting *setting, enum test_operation operation, const struct test_state *state)
{
    return setting->operation == operation &&
           (setting->endpoint == NULL || strcmp(setting->endpoint, state->connection.endpoint) == 0) &&
           (setting->connection == 0 || setting->connection == state->connection.number) &&
           (setting->nth == 0 || setting->nth == atomic_load(&calls[operation]));
}

struct test_behaviour test_manager_behaviour(enum test_operation operation, const struct test_state *state)
{
    test_choose_fn *choose = atomic_load(&chooser);
    struct test_behaviour behaviour = {.kind = TEST_OK};

    if (choose != NULL) {
        return choose(operation, &state->connection);
    }
    if (atomic_load(&setting_count) == 0) {
        return behaviour;
    }
    test_manager_lock();
    for (size_t i = setting_count; i > 0; i--) {
        if (setting_fits(&settings[i - 1], operation, state)) {
            behaviour = settings[i - 1].behaviour;
            break;
        }
    }
    test_manager_unlock();
    return behaviour;
}

/* ---- What was called ---- */

void test_manager_called(enum test_operation operation, const struct test_state *state, char letter)
{
    atomic_fetch_add(&calls[operation], 1);
    if (!atomic_load(&records_calls)) {
        return;
    }
    test_manager_lock();
    if (record_count < MOST_RECORDS) {
        records[record_count].letter = letter;
        records[record_count].number = state->connection.number;
        record_count++;
    }
    test_manager_unlock();
}

void test_manager_set_deadline(enum test_operation operation, int64_t deadline)
{
    atomic_store(&deadlines[operation], deadline);
}

uint64_t test_manager_calls(enum test_operation operation)
{
    return atomic_load(&calls[operation]);
}

void test_manager_set_for_loop(bool is_for_loop)
{
    atomic_store(&for_loop, is_for_loop);
}

bool test_manager_prepared_for_loop(void)
{
    return atomic_load(&for_loop);
}

int64_t test_manager_deadline(enum test_operation operation)
{
    return atomic_load(&deadlines[operation]);
}

void test_manager_record(bool record)
{
    atomic_store(&records_calls, record);
}

const char *test_manager_log(const char *letters)
{
    static char text[1 << 16];
    size_t length = 0;

    text[0] = '\0';
    test_manager_lock();
    for (size_t i = 0; i < record_count && length + 16 < sizeof(text); i++) {
        if (strchr(letters, records[i].letter) != NULL) {
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%c%u", length == 0 ? "" : " ",
                                       records[i].letter, records[i].number);
        }
    }
    test_manager_unlock();
    return text;
}

const char *test_manager_endpoint_of(uint32_t number)
{
    return number < MOST_RECORDS ? owners[number] : "";
}

/* ---- What lives ---- */

static struct endpoint_count *endpoint_named(const char *name)
{
    for (size_t i = 0; i < endpoint_count; i++) {
        if (strcmp(endpoints[i].name, name) == 0) {
            return &endpoints[i];
        }
    }
    if (endpoint_count == MOST_ENDPOINTS) {
        return NULL;
    }
    (void)snprintf(endpoints[endpoint_count].name, sizeof(endpoints[0].name), "%s", name);
    return &endpoints[endpoint_count++];
}

void test_manager_born(struct test_state *state)
{
    struct endpoint_count *endpoint;

    test_manager_lock();
    state->epoch = epoch;
    state->connection.number = ++last_number;
    if (last_number < MOST_RECORDS) {
        (void)snprintf(owners[last_number], sizeof(owners[0]), "%s", state->connection.endpoint);
    }
    TAILQ_INSERT_TAIL(&connections, state, live);
    live++;
    most = live > most ? live : most;
    endpoint = endpoint_named(state->connection.endpoint);
    if (endpoint != NULL) {
        endpoint->live++;
        endpoint->most = endpoint->live > endpoint->most ? endpoint->live : endpoint->most;
    }
    test_manager_unlock();
}

void test_manager_died(struct test_state *state)
{
    struct endpoint_count *endpoint;

    test_manager_lock();
    if (state->epoch != epoch) {
        test_manager_unlock();
        return;
    }
    TAILQ_REMOVE(&connections, state, live);
    live--;
    destroyed++;
    endpoint = endpoint_named(state->connection.endpoint);
    if (endpoint != NULL) {
        endpoint->live--;
    }
    test_manager_unlock();
}

static size_t count(const char *endpoint, bool of_most)
{
    const struct endpoint_count *found;
    size_t result;

    test_manager_lock();
    if (endpoint == NULL) {
        result = of_most ? most : live;
    } else {
        found = endpoint_named(endpoint);
        result = found == NULL ? 0 : of_most ? found->most : found->live;
    }
    test_manager_unlock();
    return result;
}

size_t test_manager_live(const char *endpoint)
{
    return count(endpoint, false);
}

size_t test_manager_most(const char *endpoint)
{
    return count(endpoint, true);
}

size_t test_manager_opened(void)
{
    size_t result;

    test_manager_lock();
    result = last_number;
    test_manager_unlock();
    return result;
}

size_t test_manager_destroyed(void)
{
    size_t result;

    test_manager_lock();
    result = destroyed;
    test_manager_unlock();
    return result;
}

uint32_t test_manager_epoch(void)
{
    return atomic_load(&epoch);
}

void test_manager_count_endpoint(uint32_t of_epoch, int change)
{
    if (of_epoch == test_manager_epoch()) {
        atomic_fetch_add(&endpoint_states, change);
    }
}

void test_manager_count_pool(uint32_t of_epoch, int change)
{
    if (of_epoch == test_manager_epoch()) {
        atomic_fetch_add(&pool_states, change);
    }
}

size_t test_manager_endpoints(void)
{
    return (size_t)atomic_load(&endpoint_states);
}

size_t test_manager_pools(void)
{
    return (size_t)atomic_load(&pool_states);
}

/* ---- What ends waits ---- */

size_t test_manager_feed(bool hang_up)
{
    struct test_state *state;
    size_t fed = 0;

    test_manager_lock();
    TAILQ_FOREACH (state, &connections, live) {
        if (state->sockets[1] < 0) {
            continue;
        }
        if (hang_up) {
            (void)shutdown(state->sockets[1], SHUT_RDWR);
        } else {
            (void)!write(state->sockets[1], "x", 1);
        }
        fed++;
    }
    test_manager_unlock();
    return fed;
}

void test_manager_keep_host(const struct connpool_host *host)
{
    atomic_store(&host_for_ever, host);
}

void test_manager_keep_wake(uint64_t token)
{
    test_manager_lock();
    if (wake_count < MOST_WAKES) {
        wakes[wake_count++] = token;
    }
    test_manager_unlock();
}

size_t test_manager_wake(void)
{
    const struct connpool_host *host = atomic_load(&host_for_ever);
    uint64_t kept[256];
    struct test_state *state;
    size_t total = 0, chunk;

    test_manager_lock();
    TAILQ_FOREACH (state, &connections, live) {
        atomic_store(&state->is_woken, true);
    }
    do {
        chunk = 0;
        while (chunk < sizeof(kept) / sizeof(kept[0]) && total < wake_count) {
            kept[chunk++] = wakes[total++];
        }
        test_manager_unlock();
        for (size_t i = 0; i < chunk; i++) {
            host->wake(host, kept[i]);
        }
        test_manager_lock();
    } while (total < wake_count);
    test_manager_unlock();
    return total;
}

void test_manager_block(void)
{
    test_manager_lock();
    blocked++;
    while (blocks) {
        pthread_cond_wait(&unblocked, &mutex);
    }
    blocked--;
    test_manager_unlock();
}

void test_manager_unblock(void)
{
    test_manager_lock();
    blocks = false;
    pthread_cond_broadcast(&unblocked);
    test_manager_unlock();
}

size_t test_manager_blocked(void)
{
    size_t result;

    test_manager_lock();
    result = blocked;
    test_manager_unlock();
    return result;
}
