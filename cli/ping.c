/* SPDX-License-Identifier: MIT */
/* ping: `connpool ping FILE [POOL[/ENDPOINT]]`: for each endpoint, the time of a first acquire, which connects, beside
 * that of the next ones, which reuse the connection. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "output.h"
#include "peer.h"

#define COUNT_DEFAULT 5
#define CLOSE_LIMIT   5000 /* ms */

/* What was measured at one endpoint; times are nanoseconds. */
struct measurement {
    int64_t connect; /* the first acquire */
    int64_t reuses[ARGUMENTS_COUNT_MAXIMUM];
    size_t reuse_count; /* acquires that got a connection which was there */
    size_t error_count;
    connpool_error error; /* the last */
    char peer[PEER_SIZE];
};

/* A run of the command. */
struct ping {
    connpool *context;
    size_t count;
    size_t pinged, failed; /* endpoints */
};

/* Why the first connection of the endpoint that is measured ended. The collector's thread may tell it. */
static struct {
    pthread_mutex_t lock;
    const connpool_pool *pool;
    const char *endpoint;
    char why[sizeof(((connpool_error *)NULL)->text)]; /* "": none ended */
} ending = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void forget_endings(const connpool_endpoint *endpoint, const connpool_pool *pool)
{
    (void)pthread_mutex_lock(&ending.lock);
    ending.pool = pool;
    ending.endpoint = endpoint == NULL ? NULL : connpool_endpoint_name(endpoint);
    ending.why[0] = '\0';
    (void)pthread_mutex_unlock(&ending.lock);
}

/* A connection that is dead is told before it is closed, and with more. */
static void note_ending(void *argument, const struct connpool_event *event)
{
    (void)argument;
    (void)pthread_mutex_lock(&ending.lock);
    if (ending.why[0] == '\0' && event->pool == ending.pool && strcmp(event->endpoint, ending.endpoint) == 0) {
        (void)snprintf(ending.why, sizeof(ending.why), "%s",
                       event->error != NULL ? event->error->text : connpool_reason_text(event->reason));
    }
    (void)pthread_mutex_unlock(&ending.lock);
}

static void observe_all(connpool *context)
{
    const struct connpool_observer observer = {.size = sizeof(observer), .dead = note_ending, .closed = note_ending};
    connpool_pool *pool;

    for (size_t i = 0; (pool = connpool_pool_at(context, i)) != NULL; i++) {
        (void)connpool_pool_observe(pool, &observer);
    }
}

static void measure_reuse(struct measurement *measurement, connpool_endpoint *endpoint)
{
    struct connpool_lease_info info = {.size = sizeof(info)};
    int64_t start = now(), duration;
    connpool_lease lease;

    if (connpool_endpoint_acquire(endpoint, CONNPOOL_WAIT_DEFAULT, &lease, &measurement->error) != CONNPOOL_OK) {
        measurement->error_count++;
        return;
    }
    duration = now() - start;
    if (connpool_lease_info(&lease, &info) == CONNPOOL_OK && !info.is_new) {
        measurement->reuses[measurement->reuse_count++] = duration;
    }
    (void)connpool_release(&lease);
}

static void measure(struct measurement *measurement, connpool_endpoint *endpoint, size_t count)
{
    int64_t start = now();
    connpool_lease lease;

    if (connpool_endpoint_acquire(endpoint, CONNPOOL_WAIT_DEFAULT, &lease, &measurement->error) != CONNPOOL_OK) {
        measurement->error_count = 1;
        return;
    }
    measurement->connect = now() - start;
    peer_describe(&lease, measurement->peer);
    (void)connpool_release(&lease);
    for (size_t i = 0; i < count; i++) {
        measure_reuse(measurement, endpoint);
    }
}

static int compare(const void *one, const void *other)
{
    const int64_t *left = one, *right = other;

    return (*left > *right) - (*left < *right);
}

static int64_t median(int64_t *values, size_t count)
{
    qsort(values, count, sizeof(values[0]), compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static void print_time(const char *name, enum output_style style, int64_t duration, int64_t most)
{
    printf("  %-8s", name);
    output_duration(duration);
    output_bar(style, duration, most);
    printf("\n");
}

static void print_ending(void)
{
    char why[sizeof(ending.why)];

    (void)pthread_mutex_lock(&ending.lock);
    memcpy(why, ending.why, sizeof(why));
    (void)pthread_mutex_unlock(&ending.lock);
    if (why[0] != '\0') {
        printf("  ");
        output_styled(OUTPUT_DIM, "the connection ended: ");
        output_styled(OUTPUT_DIM, why);
        printf("\n");
    }
}

static void print_times(struct measurement *measurement)
{
    int64_t most = measurement->connect, reuse;

    if (measurement->reuse_count == 0) {
        print_time("connect", OUTPUT_BAD, measurement->connect, most);
        printf("  %-8s%12s\n", "reuse", "none");
        print_ending();
        return;
    }
    reuse = median(measurement->reuses, measurement->reuse_count);
    most = reuse > most ? reuse : most;
    print_time("connect", OUTPUT_BAD, measurement->connect, most);
    print_time("reuse", OUTPUT_GOOD, reuse, most);
}

static void print_measurement(struct measurement *measurement)
{
    if (measurement->peer[0] != '\0') {
        printf("  ");
        output_styled(OUTPUT_DIM, measurement->peer);
    }
    printf("\n");
    if (measurement->connect > 0) {
        print_times(measurement);
    }
    printf("  %-8s%12zu\n", "errors", measurement->error_count);
    if (measurement->error_count > 0) {
        printf("  ");
        output_styled(OUTPUT_BAD, measurement->error.text);
        printf("\n");
    }
}

static void ping_endpoint(struct ping *ping, connpool_pool *pool, const char *name)
{
    static struct measurement measurement;
    connpool_endpoint *endpoint = NULL;

    memset(&measurement, 0, sizeof(measurement));
    if (connpool_endpoint_get(pool, name, &endpoint, &measurement.error) == CONNPOOL_OK) {
        forget_endings(endpoint, pool);
        measure(&measurement, endpoint, ping->count);
    } else {
        measurement.error_count = 1;
    }
    output_styled(OUTPUT_STRONG, connpool_pool_name(pool));
    output_styled(OUTPUT_STRONG, "/");
    output_styled(OUTPUT_STRONG, name);
    print_measurement(&measurement);
    (void)fflush(stdout);
    forget_endings(NULL, NULL);
    connpool_endpoint_put(endpoint);
    ping->pinged++;
    ping->failed += measurement.error_count > 0;
}

static void ping_pool(struct ping *ping, connpool_pool *pool)
{
    const char *name;

    for (size_t i = 0; (name = connpool_pool_endpoint_name(pool, i)) != NULL; i++) {
        ping_endpoint(ping, pool, name);
    }
    if (connpool_pool_endpoint_name(pool, 0) == NULL) {
        output_complain("%s takes its endpoints at run time: name one, as %s/ENDPOINT", connpool_pool_name(pool),
                        connpool_pool_name(pool));
    }
}

/* Names may hold a '/', so the pool is the longest name that fits; *endpoint becomes what follows it, NULL: nothing.
 */
static connpool_pool *find_pool(connpool *context, const char *target, const char **endpoint)
{
    connpool_pool *found = NULL, *pool;
    size_t longest = 0;

    for (size_t i = 0; (pool = connpool_pool_at(context, i)) != NULL; i++) {
        const char *name = connpool_pool_name(pool);
        size_t length = strlen(name);

        if (strcmp(name, target) == 0) {
            *endpoint = NULL;
            return pool;
        }
        if (length > longest && strncmp(name, target, length) == 0 && target[length] == '/') {
            longest = length;
            found = pool;
            *endpoint = target + length + 1;
        }
    }
    return found;
}

static void ping_target(struct ping *ping, const char *target)
{
    const char *endpoint;
    connpool_pool *pool = find_pool(ping->context, target, &endpoint);

    if (pool == NULL) {
        output_complain("no such pool: %.*s", (int)strcspn(target, "/"), target);
    } else if (endpoint != NULL) {
        ping_endpoint(ping, pool, endpoint);
    } else {
        ping_pool(ping, pool);
    }
}

static void ping_all(struct ping *ping)
{
    connpool_pool *pool;

    for (size_t i = 0; (pool = connpool_pool_at(ping->context, i)) != NULL; i++) {
        ping_pool(ping, pool);
    }
}

int ping_run(const struct arguments *arguments, char **operands, size_t count)
{
    struct connpool_options options = {
        .size = sizeof(options),
        .flags = arguments->flags,
        .path = operands[0],
        .plugin_path = arguments->folders,
    };
    struct ping ping = {.count = arguments->count > 0 ? (size_t)arguments->count : COUNT_DEFAULT};
    connpool_error error;

    ping.context = connpool_open_with(&options, &error);
    if (ping.context == NULL) {
        output_complain("%s", error.text);
        return COMMAND_FAILED;
    }
    observe_all(ping.context);
    if (count == 2) {
        ping_target(&ping, operands[1]);
    } else {
        ping_all(&ping);
    }
    (void)connpool_close(ping.context, CLOSE_LIMIT, NULL);
    return ping.pinged > 0 && ping.failed == 0 ? COMMAND_OK : COMMAND_FAILED;
}
