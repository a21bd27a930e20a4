/* SPDX-License-Identifier: MIT */
/* leak: see leak.h; connpool_lease_note. Addresses become words only when a leak is reported. */
#include "pool/leak.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "pool/endpoints.h"
#include "pool/observe.h"
#include "pool/pool.h"

/* A sweep is made at most so often: this part of the leak_after of what it waits for. */
#define PART 10

/* What is known of the one that is being reported, without locks. */
struct report {
    struct connpool_endpoint *endpoint; /* counted, or the pool's for ever */
    uint64_t connection;
    int64_t held;
    struct cp_leak_note note;
};

/* ---- Where ---- */

void cp_leak_prepare_pool(struct connpool_pool *pool)
{
    void *frame;

    pool->shortest_leak_after = pool->policy.leak_after;
    for (size_t i = 0; i < pool->named_count; i++) {
        pool->shortest_leak_after = cp_time_earlier(pool->shortest_leak_after, pool->named[i]->policy.leak_after);
    }
    pool->finds_leaks = pool->shortest_leak_after != CP_NEVER;
    if (pool->finds_leaks) {
        (void)backtrace(&frame, 1); /* the first call loads a library */
    }
}

void cp_leak_site_capture(struct cp_leak_site *site, void *return_address)
{
    void *frames[CP_LEAK_FRAMES + CP_LEAK_OWN_FRAMES];
    int count = backtrace(frames, CP_LEAK_FRAMES + CP_LEAK_OWN_FRAMES);
    int first = 0;

    while (first < count && frames[first] != return_address) {
        first++;
    }
    if (first == count) { /* it cannot be walked so far */
        site->count = 1;
        site->frames[0] = return_address;
        return;
    }
    site->count = count - first < CP_LEAK_FRAMES ? count - first : CP_LEAK_FRAMES;
    memcpy(site->frames, frames + first, (size_t)site->count * sizeof(site->frames[0]));
}

/* The call before a return address: "app+0x1234 (main)", an offset as addr2line(1) takes it, the name where the object
 * exports it. As snprintf. */
static int write_frame(char *text, size_t room, const char *separator, void *frame)
{
    char *call = (char *)frame - 1;
    struct link_map *map = NULL;
    const char *slash;
    Dl_info info;

    if (dladdr1(call, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL || info.dli_fname == NULL) {
        return snprintf(text, room, "%s%p", separator, (void *)call);
    }
    slash = strrchr(info.dli_fname, '/');
    return snprintf(text, room, "%s%s+0x%zx%s%s%s", separator, slash == NULL ? info.dli_fname : slash + 1,
                    (size_t)((uintptr_t)call - map->l_addr), info.dli_sname == NULL ? "" : " (",
                    info.dli_sname == NULL ? "" : info.dli_sname, info.dli_sname == NULL ? "" : ")");
}

static void write_site(const struct cp_leak_site *site, char *text, size_t size)
{
    size_t length = 0;

    text[0] = '\0';
    for (int i = 0; i < site->count; i++) {
        int written = write_frame(text + length, size - length, i == 0 ? "" : " < ", site->frames[i]);

        if (written < 0 || (size_t)written >= size - length) {
            text[length] = '\0'; /* whole frames only */
            return;
        }
        length += (size_t)written;
    }
}

/* ---- Records ---- */

bool cp_leak_init(struct connpool_connection *connection, const struct connpool_endpoint *endpoint)
{
    if (endpoint->policy.leak_after == CP_NEVER) {
        return true;
    }
    connection->leak = cp_alloc(sizeof(*connection->leak));
    if (connection->leak == NULL) {
        return false;
    }
    connection->leak->connection = connection;
    return true;
}

void cp_leak_track(struct connpool_connection *connection)
{
    struct connpool_pool *pool = connection->pool;

    if (connection->leak != NULL) {
        cp_lock_take(&pool->lock);
        TAILQ_INSERT_TAIL(&pool->tracked, connection->leak, entry);
        cp_lock_give(&pool->lock);
    }
}

void cp_leak_untrack(struct connpool_connection *connection)
{
    if (connection->leak != NULL) {
        TAILQ_REMOVE(&connection->pool->tracked, connection->leak, entry);
        cp_leak_fini(connection);
    }
}

void cp_leak_fini(struct connpool_connection *connection)
{
    cp_free(connection->leak);
    connection->leak = NULL;
}

void cp_leak_begin(const connpool_lease *lease, const struct cp_leak_site *site)
{
    struct connpool_connection *connection = lease->connection;
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct cp_leak_note note = {
        .generation = lease->generation,
        .since = cp_clock_precise(&connection->pool->context->clock),
        .thread = gettid(),
        .site = *site,
    };

    (void)prctl(PR_GET_NAME, note.thread_name);
    cp_lock_take(&endpoint->lock);
    /* The application's hook may have given it back already, and the connection be another's or gone. */
    if (connection->leak != NULL &&
        atomic_load_explicit(&connection->generation, memory_order_relaxed) == lease->generation) {
        connection->leak->note = note;
    }
    cp_lock_give(&endpoint->lock);
}

connpool_status connpool_lease_note(const connpool_lease *lease, const char *text)
{
    struct connpool_connection *connection = lease == NULL ? NULL : lease->connection;
    struct connpool_endpoint *endpoint;

    if (connection != NULL && cp_pool_is_forked(connection->pool)) {
        return CONNPOOL_FORKED;
    }
    if (connection == NULL || !connpool_lease_valid(lease)) {
        return CONNPOOL_STALE;
    }
    if (connection->leak != NULL) {
        endpoint = cp_connection_endpoint(connection);
        cp_lock_take(&endpoint->lock);
        (void)snprintf(connection->leak->note.text, CONNPOOL_NOTE_SIZE, "%s", text == NULL ? "" : text);
        cp_lock_give(&endpoint->lock);
    }
    return CONNPOOL_OK;
}

/* ---- Reports ---- */

/* A thread whose number another one has by now passes for alive; numbers are given out anew last of all. */
static bool has_ended(pid_t thread)
{
    return tgkill(getpid(), thread, 0) != 0;
}

static void write_log(const struct report *report, const struct connpool_leak *leak)
{
    const struct connpool_pool *pool = report->endpoint->pool;

    cp_log_write(&pool->context->log, CONNPOOL_LOG_WARNING,
                 "pool '%s', endpoint '%s': connection %llu is leased for %.3f s, leak_after is %.3f s: acquired by "
                 "thread %d (%s)%s%s%s, at %s",
                 pool->name, report->endpoint->name, (unsigned long long)report->connection,
                 (double)report->held / (double)CP_SECOND,
                 (double)report->endpoint->policy.leak_after / (double)CP_SECOND, (int)leak->thread, leak->thread_name,
                 leak->thread_has_ended ? ", which has ended" : "", leak->note == NULL ? "" : ", noted ",
                 leak->note == NULL ? "" : leak->note, leak->where);
}

/* No lock held. */
static void tell(const struct report *report)
{
    char where[512];
    struct connpool_leak leak = {
        .size = sizeof(leak),
        .thread = report->note.thread,
        .thread_has_ended = has_ended(report->note.thread),
        .thread_name = report->note.thread_name,
        .note = report->note.text[0] == '\0' ? NULL : report->note.text,
        .where = where,
    };

    write_site(&report->note.site, where, sizeof(where));
    write_log(report, &leak);
    if (report->endpoint->pool->is_observed) {
        cp_observe_leaked(report->endpoint, report->connection, report->held, &leak);
    }
}

/* The endpoint's lock is held. */
static void fill_report(struct report *report, struct cp_leak *leak, int64_t now)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(leak->connection);

    leak->note.is_reported = true;
    endpoint->counters.leaked++;
    *report = (struct report){
        .endpoint = endpoint, .connection = leak->connection->id, .held = now - leak->note.since, .note = leak->note};
}

/* When a lease is due to be reported, CP_NEVER: the note is of none that is out, or it was. The endpoint's lock is
 * held. */
static int64_t due_of(const struct cp_leak *leak)
{
    const struct connpool_connection *connection = leak->connection;

    if (leak->note.is_reported || leak->note.generation == 0 ||
        leak->note.generation != atomic_load_explicit(&connection->generation, memory_order_relaxed)) {
        return CP_NEVER;
    }
    return cp_time_add(leak->note.since, cp_connection_endpoint(connection)->policy.leak_after);
}

void cp_leak_end(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct cp_leak *leak = connection->leak;
    int64_t now = cp_clock_precise(&connection->pool->context->clock);
    struct report report;

    if (leak == NULL || leak->note.is_reported || now - leak->note.since < endpoint->policy.leak_after ||
        leak->note.generation + 1 != atomic_load_explicit(&connection->generation, memory_order_relaxed)) {
        return;
    }
    cp_lock_take(&endpoint->lock);
    fill_report(&report, leak, now);
    cp_lock_give(&endpoint->lock);
    tell(&report);
}

/* Find what is due, at most `room`; the time of the next sweep becomes as early as what is left needs it. */
static size_t find_due(struct connpool_pool *pool, int64_t now, struct report *reports, size_t room, int64_t *next)
{
    struct cp_leak *leak;
    size_t count = 0;

    cp_lock_take(&pool->lock);
    TAILQ_FOREACH (leak, &pool->tracked, entry) {
        struct connpool_endpoint *endpoint = cp_connection_endpoint(leak->connection);
        int64_t due;

        cp_lock_take(&endpoint->lock);
        due = due_of(leak);
        if (due <= now && count < room) {
            fill_report(&reports[count++], leak, now);
            if (!endpoint->is_named) {
                cp_endpoints_ref(endpoint);
            }
        } else if (due != CP_NEVER) {
            int64_t soonest = cp_time_add(now, endpoint->policy.leak_after / PART);

            *next = cp_time_earlier(*next, due > soonest ? due : soonest);
        }
        cp_lock_give(&endpoint->lock);
    }
    cp_lock_give(&pool->lock);
    return count;
}

int64_t cp_leak_sweep(struct connpool_pool *pool, int64_t now)
{
    struct report reports[8];
    const size_t room = sizeof(reports) / sizeof(reports[0]);
    int64_t next;
    size_t count;

    do {
        next = cp_time_add(now, pool->shortest_leak_after); /* what is acquired from now on is not due before */
        count = find_due(pool, now, reports, room, &next);
        for (size_t i = 0; i < count; i++) {
            tell(&reports[i]);
            cp_endpoints_put(reports[i].endpoint);
        }
    } while (count == room);
    return next;
}
