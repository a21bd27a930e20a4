/* SPDX-License-Identifier: MIT */
/* dial: see dial.h. */
#include "network/dial.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "network/dial_race.h"
#include "network/dial_unix.h"
#include "network/host.h"
#include "network/resolve.h"
#include "network/services.h"

/* Linux refuses more (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT of include/net/tcp.h). */
#define KEEPALIVE_SECONDS_MAX 32767
#define KEEPALIVE_COUNT_MAX   127

enum dial_state { DIAL_RESOLVING, DIAL_RACING, DIAL_UNIX, DIAL_CONNECTED, DIAL_FAILED };

struct connpool_dial {
    enum dial_state state;
    int32_t result; /* DIAL_FAILED: what step answered */
    char *name;     /* the host, or the path */
    uint16_t port;
    struct cp_dial_settings settings;
    struct connpool_resolve *resolve;
    struct cp_dial_race race;
    struct cp_dial_unix unix_socket;
};

/* ---- Options */

static bool wrong(struct connpool_fault *fault, const char *text)
{
    (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s", text);
    return false;
}

/* Nanoseconds to whole units, rounded up. False: out of range, and the fault says so. */
static bool read_time(const char *name, int64_t time, int64_t unit, int64_t most, int64_t *units,
                      struct connpool_fault *fault)
{
    if (time < 0 || time / unit > most || (time / unit == most && time % unit != 0)) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s is %.3f s, expected 0 to %.3f s", name,
                           (double)time / (double)CP_SECOND, (double)most * (double)unit / (double)CP_SECOND);
        return false;
    }
    *units = time / unit + (time % unit != 0);
    return true;
}

static bool read_times(const struct connpool_dial_options *options, struct cp_dial_settings *settings,
                       struct connpool_fault *fault)
{
    int64_t idle;
    int64_t interval;
    int64_t user;

    if (!read_time("keepalive_idle", options->keepalive_idle, CP_SECOND, KEEPALIVE_SECONDS_MAX, &idle, fault) ||
        !read_time("keepalive_interval", options->keepalive_interval, CP_SECOND, KEEPALIVE_SECONDS_MAX, &interval,
                   fault) ||
        !read_time("user_timeout", options->user_timeout, CP_MILLISECOND, INT_MAX, &user, fault)) {
        return false;
    }
    if (options->keepalive_count > KEEPALIVE_COUNT_MAX) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "keepalive_count is %u, expected 0 to %d",
                           options->keepalive_count, KEEPALIVE_COUNT_MAX);
        return false;
    }
    settings->keepalive_idle = (int)idle;
    settings->keepalive_interval = idle > 0 ? (int)interval : 0;
    settings->keepalive_count = idle > 0 ? (int)options->keepalive_count : 0;
    settings->user_timeout = (unsigned)user;
    return true;
}

static bool check_port(const char *name, uint32_t port, uint32_t least, struct connpool_fault *fault)
{
    if (port < least || port > UINT16_MAX) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s is %u, expected %u to %u", name, port, least,
                           UINT16_MAX);
        return false;
    }
    return true;
}

static bool read_bind(const struct connpool_dial_options *options, struct cp_dial_settings *settings,
                      struct connpool_fault *fault)
{
    if (!check_port("bind_port", options->bind_port, 0, fault)) {
        return false;
    }
    settings->bind = options->bind_host != NULL || options->bind_port != 0;
    settings->local_port = (uint16_t)options->bind_port;
    if (options->bind_host != NULL && !cp_address_read(&settings->local, options->bind_host)) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                           "bind_host '%.100s': expected a numeric address of this machine", options->bind_host);
        return false;
    }
    return true;
}

/* ---- Start */

static bool start_tcp(struct connpool_dial *dial, const struct connpool_host *host,
                      const struct connpool_dial_options *options, struct connpool_fault *fault)
{
    if (!check_port("port", options->port, 1, fault) || !read_times(options, &dial->settings, fault) ||
        !read_bind(options, &dial->settings, fault)) {
        return false;
    }
    dial->port = (uint16_t)options->port;
    dial->settings.delay = (options->flags & CONNPOOL_DIAL_DELAY) != 0;
    dial->state = DIAL_RESOLVING;
    dial->resolve = cp_resolve_start(host, dial->name, options->flags, fault);
    return dial->resolve != NULL;
}

static bool start(struct connpool_dial *dial, const struct connpool_host *host,
                  const struct connpool_dial_options *options, struct connpool_fault *fault)
{
    dial->name = cp_text_copy(options->host != NULL ? options->host : options->path);
    if (dial->name == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "dial: out of memory");
        return false;
    }
    if (options->host != NULL) {
        return start_tcp(dial, host, options, fault);
    }
    dial->state = DIAL_UNIX;
    return cp_dial_unix_start(&dial->unix_socket, dial->name, fault);
}

struct connpool_dial *cp_dial_start(const struct connpool_host *host, const struct connpool_dial_options *options,
                                    struct connpool_fault *fault)
{
    struct connpool_dial_options known = {.size = 0};
    struct connpool_dial *dial;

    if (cp_host_of(host)->services == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_UNSUPPORTED, 0, "load cannot connect: dial from a step function");
        return NULL;
    }
    memcpy(&known, options, options->size < sizeof(known) ? options->size : sizeof(known));
    if ((known.host == NULL) == (known.path == NULL)) {
        (void)wrong(fault, known.host == NULL ? "neither host nor path is given, expected one of them"
                                              : "host and path are both given, expected one of them");
        return NULL;
    }
    dial = cp_alloc(sizeof(*dial));
    if (dial == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "dial: out of memory");
        return NULL;
    }
    cp_dial_race_init(&dial->race);
    cp_dial_unix_init(&dial->unix_socket);
    if (!start(dial, host, &known, fault)) {
        cp_dial_stop(dial);
        return NULL;
    }
    return dial;
}

/* ---- Step */

static int32_t start_race(struct connpool_dial *dial, struct connpool_fault *fault)
{
    const struct cp_addresses *addresses = cp_resolve_addresses(dial->resolve);

    if (!cp_dial_race_start(&dial->race, addresses, dial->port, &dial->settings)) {
        return cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "dial: out of memory");
    }
    if (dial->race.count == 0) {
        return cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, EAFNOSUPPORT,
                            "host '%.100s' has no address of the family of bind_host %s", dial->name,
                            dial->settings.local.text);
    }
    dial->state = DIAL_RACING;
    return CONNPOOL_STEP_DONE;
}

static int32_t race_failed(const struct connpool_dial *dial, struct connpool_fault *fault)
{
    const struct cp_dial_failure *failure = &dial->race.failure;
    int32_t error_class = cp_error_class_of_errno(failure->os_error);
    char others[96] = "";

    if (fault != NULL && fault->error_class == 0) {
        fault->scope =
            error_class == CONNPOOL_ERROR_RESOURCE_LOCAL ? CONNPOOL_SCOPE_CONNECTION : CONNPOOL_SCOPE_ENDPOINT;
    }
    if (dial->race.count > 1) {
        (void)snprintf(others, sizeof(others), " (all %u addresses failed, the last one: %s)", dial->race.count,
                       strerrordesc_np(failure->last_error));
    }
    return cp_fault_set(fault, error_class, failure->os_error, "cannot connect to %.100s port %u at %s: %s%s%s",
                        dial->name, (unsigned)dial->port, failure->text, failure->call,
                        strerrordesc_np(failure->os_error), others);
}

static int32_t race(struct connpool_dial *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int result = cp_dial_race_step(&dial->race, wait);

    return result < 0 ? race_failed(dial, fault) : result;
}

static int32_t advance(struct connpool_dial *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result;

    if (dial->state == DIAL_UNIX) {
        return cp_dial_unix_step(&dial->unix_socket, dial->name, wait, fault);
    }
    if (dial->state == DIAL_RESOLVING) {
        result = cp_resolve_step(dial->resolve, wait, fault);
        if (result == CONNPOOL_STEP_DONE) {
            result = start_race(dial, fault);
        }
        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
    }
    return race(dial, wait, fault);
}

static struct cp_dial_socket *connected_socket(struct connpool_dial *dial)
{
    return dial->unix_socket.socket.fd >= 0 ? &dial->unix_socket.socket : &dial->race.winner;
}

/* What is not needed any more does not wait for stop: the losers, the epoll descriptor. */
static void end(struct connpool_dial *dial, int32_t result)
{
    struct cp_dial_socket winner = dial->race.winner;

    cp_dial_socket_init(&dial->race.winner);
    cp_dial_race_fini(&dial->race);
    dial->race.winner = winner;
    dial->state = result == CONNPOOL_STEP_DONE ? DIAL_CONNECTED : DIAL_FAILED;
    dial->result = result;
}

int32_t cp_dial_step(struct connpool_dial *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result;

    if (dial->state == DIAL_CONNECTED || dial->state == DIAL_FAILED) {
        return dial->result;
    }
    result = advance(dial, wait, fault);
    if (result != CONNPOOL_STEP_AGAIN) {
        end(dial, result);
    }
    return result;
}

int32_t cp_dial_take(struct connpool_dial *dial)
{
    return dial->state == DIAL_CONNECTED ? cp_dial_socket_take(connected_socket(dial)) : -1;
}

void cp_dial_stop(struct connpool_dial *dial)
{
    if (dial == NULL) {
        return;
    }
    cp_dial_race_fini(&dial->race);
    cp_dial_unix_fini(&dial->unix_socket);
    cp_resolve_stop(dial->resolve);
    cp_free(dial->name);
    cp_free(dial);
}
