/* SPDX-License-Identifier: MIT */
/* cases_reactor: the manager in a pool that an event loop uses: a thousand acquires at once, or as many as the server
 * permits; and bad peers. */
#include <connpool/async.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "peer.h"
#include "setting.h"
#include "stage.h"

/* All requests of a case, and what came of them. */
struct requests {
    connpool_reactor *reactor;
    connpool_endpoint *endpoint;
    struct asked {
        connpool_lease lease;
        unsigned told;
        connpool_status status;
    } * asked;
    size_t count, told;
    int32_t error_class; /* of the last that failed */
    char text[sizeof(((connpool_error *)NULL)->text)];
};

static struct requests *current; /* a callback knows its request only */

static void take(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct asked *asked = argument;

    CONFORM(++asked->told == 1, "a request was told of its end twice");
    asked->status = status;
    asked->lease = *lease;
    current->told++;
    if (error != NULL) {
        current->error_class = error->error_class;
        (void)snprintf(current->text, sizeof(current->text), "%s", error->text);
    }
}

static void begin(struct requests *requests, const struct setting *setting, size_t count)
{
    connpool_error error = {.text = ""};

    *requests = (struct requests){.count = count};
    requests->asked = calloc(count, sizeof(*requests->asked));
    CONFORM(requests->asked != NULL, "out of memory");
    requests->reactor = connpool_reactor_new(setting->context, &error);
    CONFORM(requests->reactor != NULL, "%s", error.text);
    CONFORM(connpool_endpoint_get(setting->pool, "server", &requests->endpoint, &error) == CONNPOOL_OK, "%s",
            error.text);
    current = requests;
}

static void end(struct requests *requests)
{
    connpool_endpoint_put(requests->endpoint);
    CONFORM(connpool_reactor_close(requests->reactor) == CONNPOOL_OK, "the reactor does not close");
    free(requests->asked);
}

/* Dispatch whenever there is something to do, until all requests have been told, or nothing comes any more. */
static void run_until_told(const struct requests *requests)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(requests->reactor), .events = POLLIN};

    while (requests->told < requests->count) {
        int ready = poll(&polled, 1, SETTING_PATIENCE_MS);

        CONFORM(ready != 0, "of %zu requests %zu were told of their end, then nothing came for %d s", requests->count,
                requests->told, SETTING_PATIENCE_MS / 1000);
        CONFORM(ready > 0 || errno == EINTR, "the reactor's descriptor cannot be polled: %s", strerror(errno));
        CONFORM(connpool_reactor_dispatch(requests->reactor) == CONNPOOL_OK, "the reactor does not dispatch");
    }
}

static void ask_all(struct requests *requests, int limit_ms)
{
    connpool_error error = {.text = ""};

    requests->told = 0;
    for (size_t i = 0; i < requests->count; i++) {
        requests->asked[i].told = 0;
        CONFORM(connpool_acquire_async(requests->reactor, requests->endpoint, limit_ms, take, &requests->asked[i], NULL,
                                       &error) == CONNPOOL_OK,
                "request %zu was not accepted: %s", i + 1, error.text);
    }
    run_until_told(requests);
}

static void release_all(struct requests *requests)
{
    for (size_t i = 0; i < requests->count; i++) {
        CONFORM(requests->asked[i].status == CONNPOOL_OK, "request %zu of %zu ended with \"%s\": %s", i + 1,
                requests->count, connpool_status_text(requests->asked[i].status), requests->text);
        setting_release(&requests->asked[i].lease);
    }
}

/* All at once, twice: the second time with the connections of the first. */
void case_reactor(const struct conform_subject *subject)
{
    size_t count = stage_permitted(subject, 1000);
    struct connpool_statistics statistics;
    struct requests requests;
    struct setting setting;
    char keys[200];

    (void)snprintf(keys, sizeof(keys),
                   "{\"min_idle\": %zu, \"max_size\": %zu, \"total_max_size\": %zu, \"check_after\": 0,"
                   " \"check_timeout\": 10, \"lifetime_jitter\": 0}",
                   count, count, count);
    setting_open(&setting, subject, NULL, keys);
    begin(&requests, &setting, count);
    conform_at("the first time");
    ask_all(&requests, CONNPOOL_WAIT_FOREVER);
    release_all(&requests);
    conform_at("the second time");
    ask_all(&requests, CONNPOOL_WAIT_FOREVER);
    release_all(&requests);
    statistics = setting_statistics(&setting);
    CONFORM(statistics.opened == count && statistics.acquired == 2 * count,
            "of %zu connections and %zu leases the statistics count %llu and %llu: %s", count, 2 * count,
            (unsigned long long)statistics.opened, (unsigned long long)statistics.acquired, setting_tale(&setting));
    end(&requests);
    setting_close(&setting);
}

#define PEER_REQUESTS 20

/* Twenty at once; each is told of its end, once. */
static void face(const struct conform_subject *subject, enum peer_kind kind)
{
    struct requests requests;
    struct setting setting;
    struct peer peer;

    peer_open(&peer, subject, kind);
    setting_open(&setting, subject, peer_endpoint(&peer, subject),
                 "{\"connect_timeout\": 0.2, \"max_size\": 20, \"check_after\": 0, \"check_timeout\": 0.2,"
                 " \"reset_timeout\": 0.2, \"dispose_timeout\": 0.2}");
    begin(&requests, &setting, PEER_REQUESTS);
    conform_at("peer of kind %d", (int)kind);
    ask_all(&requests, 1000);
    for (size_t i = 0; i < PEER_REQUESTS; i++) {
        if (requests.asked[i].status == CONNPOOL_OK) {
            setting_release(&requests.asked[i].lease);
        }
    }
    CONFORM(requests.error_class != CONNPOOL_ERROR_MISBEHAVING && requests.error_class != CONNPOOL_ERROR_INTERNAL,
            "an acquire ended with class \"%s\": %s", connpool_error_class_text(requests.error_class), requests.text);
    end(&requests);
    setting_close(&setting);
}

void case_reactor_peers(const struct conform_subject *subject)
{
    face(subject, PEER_REFUSES);
    face(subject, PEER_SILENT);
    face(subject, PEER_ENDS);
    face(subject, PEER_RESETS);
    face(subject, PEER_GARBLED);
}
