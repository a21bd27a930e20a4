/* SPDX-License-Identifier: MIT */
/* dial_race: see dial_race.h. */
#include "network/dial_race.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

struct cp_dial_runner {
    const struct cp_address *address;
    struct cp_dial_socket socket;
    bool watched; /* by the epoll descriptor */
};

void cp_dial_race_init(struct cp_dial_race *race)
{
    *race = (struct cp_dial_race){.epoll = -1};
    cp_dial_socket_init(&race->winner);
}

/* The index of the next address after `index` that is (or is not) of a family; count: none. */
static uint32_t next_address(const struct cp_addresses *addresses, uint32_t index, sa_family_t family, bool equal)
{
    while (index < addresses->count && (addresses->items[index].socket.any.sa_family == family) != equal) {
        index++;
    }
    return index;
}

/* RFC 8305, section 4: with a First Address Family Count of 1. */
static void interleave(struct cp_dial_race *race)
{
    const struct cp_addresses *addresses = race->addresses;
    sa_family_t first = addresses->items[0].socket.any.sa_family;
    uint32_t same = next_address(addresses, 0, first, true);
    uint32_t other = next_address(addresses, 0, first, false);

    while (same < addresses->count || other < addresses->count) {
        if (same < addresses->count) {
            race->runners[race->count++].address = &addresses->items[same];
            same = next_address(addresses, same + 1, first, true);
        }
        if (other < addresses->count) {
            race->runners[race->count++].address = &addresses->items[other];
            other = next_address(addresses, other + 1, first, false);
        }
    }
}

/* Where the local address is given, the other family cannot be reached from it. */
static void keep_family(struct cp_dial_race *race, sa_family_t family)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < race->count; i++) {
        if (race->runners[i].address->socket.any.sa_family == family) {
            race->runners[kept++].address = race->runners[i].address;
        }
    }
    race->count = kept;
}

bool cp_dial_race_start(struct cp_dial_race *race, const struct cp_addresses *addresses, uint16_t port,
                        const struct cp_dial_settings *settings)
{
    race->settings = settings;
    race->addresses = addresses;
    race->port = port;
    race->runners = cp_alloc_array(addresses->count, sizeof(*race->runners));
    if (race->runners == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < addresses->count; i++) {
        cp_dial_socket_init(&race->runners[i].socket);
    }
    interleave(race);
    if (settings->local.length > 0) {
        keep_family(race, settings->local.socket.any.sa_family);
    }
    return true;
}

/* The more an error says of the other side, the more it tells. */
static int telling(int os_error)
{
    switch (cp_error_class_of_errno(os_error)) {
    case CONNPOOL_ERROR_UNREACHABLE:
    case CONNPOOL_ERROR_UNSUPPORTED:
        return 1;
    case CONNPOOL_ERROR_TIMEOUT:
        return 2;
    case CONNPOOL_ERROR_RESOURCE_LOCAL:
    case CONNPOOL_ERROR_CONFIGURATION:
        return 3;
    default:
        return 4;
    }
}

static void note_failure(struct cp_dial_race *race, const struct cp_dial_runner *runner, int os_error)
{
    race->failure.last_error = os_error;
    if (race->failure.os_error == 0 || telling(os_error) > telling(race->failure.os_error)) {
        race->failure.os_error = os_error;
        race->failure.call = runner->socket.call;
        race->failure.text = runner->address->text;
    }
}

static int connect_runner(const struct cp_dial_race *race, struct cp_dial_runner *runner)
{
    struct cp_address address = *runner->address;
    int error = cp_dial_socket_open(&runner->socket, address.socket.any.sa_family);

    if (error == 0) {
        error = cp_dial_socket_configure(&runner->socket, address.socket.any.sa_family, race->settings);
    }
    if (error != 0) {
        return error;
    }
    cp_address_set_port(&address, race->port);
    return cp_dial_socket_connect(&runner->socket, &address.socket.any, address.length);
}

static void win(struct cp_dial_race *race, struct cp_dial_runner *runner)
{
    race->winner = runner->socket;
    cp_dial_socket_init(&runner->socket);
}

/* Start attempts until one does not fail at once. True: one has won. */
static bool start_next(struct cp_dial_race *race, int64_t now)
{
    while (race->started < race->count) {
        struct cp_dial_runner *runner = &race->runners[race->started++];
        int error = connect_runner(race, runner);

        if (error == 0) {
            win(race, runner);
            return true;
        }
        if (error == EINPROGRESS) {
            race->running++;
            race->next = cp_time_add(now, CP_DIAL_ATTEMPT_DELAY);
            return false;
        }
        note_failure(race, runner, error);
    }
    return false;
}

/* Look at all that run. True: one has won. *failed: one has failed, so that the next need not wait. */
static bool check_running(struct cp_dial_race *race, bool *failed)
{
    for (uint32_t i = 0; i < race->started; i++) {
        struct cp_dial_runner *runner = &race->runners[i];
        int error = runner->socket.fd >= 0 ? cp_dial_socket_check(&runner->socket) : EINPROGRESS;

        if (error == 0) {
            win(race, runner);
            return true;
        }
        if (error != EINPROGRESS) {
            race->running--;
            *failed = true;
            note_failure(race, runner, error);
        }
    }
    return false;
}

/* True: the epoll descriptor speaks for all that run. A socket that is closed leaves it by itself; a copy in a forked
 * child, which would keep it there, is closed by the child's handler. */
static bool watch_running(struct cp_dial_race *race)
{
    if (race->epoll < 0) {
        race->epoll = epoll_create1(EPOLL_CLOEXEC);
    }
    for (uint32_t i = 0; race->epoll >= 0 && i < race->started; i++) {
        struct cp_dial_runner *runner = &race->runners[i];
        struct epoll_event event = {.events = EPOLLOUT, .data = {.u32 = i}};

        if (runner->socket.fd >= 0 && !runner->watched) {
            if (epoll_ctl(race->epoll, EPOLL_CTL_ADD, runner->socket.fd, &event) != 0) {
                return false;
            }
            runner->watched = true;
        }
    }
    return race->epoll >= 0;
}

/* The one that runs, or the last of them. */
static int newest(const struct cp_dial_race *race)
{
    uint32_t i = race->started;

    while (i > 0 && race->runners[i - 1].socket.fd < 0) {
        i--;
    }
    return i > 0 ? race->runners[i - 1].socket.fd : -1;
}

static void fill_wait(struct cp_dial_race *race, struct connpool_wait *wait)
{
    wait->at = race->started < race->count ? race->next : 0;
    if (race->running > 1 && watch_running(race)) {
        wait->fd = race->epoll;
        wait->events = CONNPOOL_EVENT_READ;
        return;
    }
    wait->fd = newest(race);
    wait->events = CONNPOOL_EVENT_WRITE;
    if (race->running > 1) {
        /* No descriptor or memory for an epoll: the others are looked at from time to time. */
        wait->at = cp_time_earlier(wait->at, cp_time_add(wait->now, CP_DIAL_ATTEMPT_DELAY));
    }
}

int cp_dial_race_step(struct cp_dial_race *race, struct connpool_wait *wait)
{
    bool failed = false;

    if (check_running(race, &failed)) {
        return CONNPOOL_STEP_DONE;
    }
    if ((failed || race->running == 0 || wait->now >= race->next) && start_next(race, wait->now)) {
        return CONNPOOL_STEP_DONE;
    }
    if (race->running == 0) {
        return -1;
    }
    fill_wait(race, wait);
    return CONNPOOL_STEP_AGAIN;
}

void cp_dial_race_fini(struct cp_dial_race *race)
{
    for (uint32_t i = 0; i < race->started; i++) {
        cp_dial_socket_close(&race->runners[i].socket);
    }
    cp_dial_socket_close(&race->winner);
    if (race->epoll >= 0) {
        (void)close(race->epoll);
        race->epoll = -1;
    }
    cp_free(race->runners);
    race->runners = NULL;
    race->started = 0;
}
