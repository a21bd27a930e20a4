/* SPDX-License-Identifier: MIT */
/* cases_pool: the manager in a pool, through the public API: lent and lent again, by many threads, lost while parked,
 * and forked. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "setting.h"
#include "stage.h"

/* No third connection may be opened: so one that its idle calls busy for the moment is waited for. */
#define KEYS "{\"min_idle\": 2, \"max_size\": 2, \"check_after\": 0, \"check_timeout\": 10, \"lifetime_jitter\": 0}"

static void use_pool(const struct conform_subject *subject)
{
    struct connpool_statistics statistics;
    connpool_lease first, second;
    struct setting setting;
    uint64_t id;

    setting_open(&setting, subject, NULL, KEYS);
    first = setting_must_acquire(&setting);
    CONFORM(setting_info(&first).is_new == 1, "the first lease is not of a new connection");
    id = setting_info(&first).id;
    second = setting_must_acquire(&setting);
    CONFORM(setting_info(&second).id != id, "two leases have one connection");
    setting_release(&first);
    first = setting_must_acquire(&setting);
    CONFORM(setting_info(&first).id == id, "a healthy connection was not lent again: %s", setting_tale(&setting));
    if (subject->native != NULL) {
        CONFORM(connpool_lease_native(&first, subject->native) != NULL, "a lease gives no %s", subject->native);
    }
    conform_at("connpool_discard");
    CONFORM(connpool_discard(&second) == CONNPOOL_OK, "a lease could not be discarded");
    setting_release(&first);
    statistics = setting_statistics(&setting);
    CONFORM(
        statistics.opened == 2 && statistics.acquired == 3 && statistics.reused == 1 &&
            statistics.ended[CONNPOOL_REASON_DISCARDED] == 1 && statistics.failed == 0,
        "of 2 connections and 3 leases the statistics count %llu and %llu, %llu reused, %llu discarded, %llu failed",
        (unsigned long long)statistics.opened, (unsigned long long)statistics.acquired,
        (unsigned long long)statistics.reused, (unsigned long long)statistics.ended[CONNPOOL_REASON_DISCARDED],
        (unsigned long long)statistics.failed);
    setting_close(&setting);
}

void case_pool_life(const struct conform_subject *subject)
{
    size_t before, after;

    use_pool(subject); /* what is made once in the process is made now */
    before = stage_count_descriptors();
    use_pool(subject);
    after = stage_count_descriptors();
    conform_at("after the context closed");
    CONFORM(after == before, "%zu descriptors before, %zu after", before, after);
}

/* ---- Threads ---- */

#define THREADS 8
#define ROUNDS  20

static void *borrow_often(void *argument)
{
    struct setting *setting = argument;

    for (int i = 0; i < ROUNDS; i++) {
        connpool_error error = {.text = ""};
        connpool_lease lease = CONNPOOL_LEASE_NONE;

        CONFORM(connpool_acquire(setting->pool, "server", SETTING_PATIENCE_MS, &lease, &error) == CONNPOOL_OK, "%s",
                error.text);
        CONFORM(connpool_release(&lease) == CONNPOOL_OK, "a lease could not be released");
    }
    return NULL;
}

/* Eight threads share two healthy connections: none is found dead. */
void case_pool_threads(const struct conform_subject *subject)
{
    struct connpool_statistics statistics;
    pthread_t threads[THREADS];
    struct setting setting;

    setting_open(&setting, subject, NULL, KEYS);
    for (int i = 0; i < THREADS; i++) {
        CONFORM(pthread_create(&threads[i], NULL, borrow_often, &setting) == 0, "no thread");
    }
    for (int i = 0; i < THREADS; i++) {
        CONFORM(pthread_join(threads[i], NULL) == 0, "a thread did not end");
    }
    statistics = setting_statistics(&setting);
    CONFORM(statistics.acquired == THREADS * ROUNDS && statistics.opened <= 2 &&
                statistics.ended[CONNPOOL_REASON_DEAD] == 0 && statistics.ended[CONNPOOL_REASON_RESET] == 0,
            "of %d acquires %llu were counted; %llu connections were opened, %llu found dead, %llu not reset",
            THREADS * ROUNDS, (unsigned long long)statistics.acquired, (unsigned long long)statistics.opened,
            (unsigned long long)statistics.ended[CONNPOOL_REASON_DEAD],
            (unsigned long long)statistics.ended[CONNPOOL_REASON_RESET]);
    setting_close(&setting);
}

/* ---- Loss ---- */

static size_t shut_sockets_since(const struct stage_descriptors *before)
{
    struct stage_descriptors now;
    size_t count = 0;

    stage_list_descriptors(&now);
    for (size_t i = 0; i < now.count; i++) {
        struct stat status;

        if (!stage_holds(before, now.fd[i]) && fstat(now.fd[i], &status) == 0 && S_ISSOCK(status.st_mode)) {
            count += shutdown(now.fd[i], SHUT_RDWR) == 0;
        }
    }
    return count;
}

/* A parked connection whose peer is gone is never lent: the same acquire opens another. (failures.md A10) */
void case_pool_lost(const struct conform_subject *subject)
{
    struct stage_descriptors before;
    struct setting setting;
    connpool_lease lease;
    uint64_t id;

    setting_open(&setting, subject, NULL, "{\"lifetime_jitter\": 0}");
    stage_list_descriptors(&before);
    lease = setting_must_acquire(&setting);
    id = setting_info(&lease).id;
    setting_release(&lease);
    if (shut_sockets_since(&before) == 0) {
        conform_skip("the connection has no socket");
    }
    lease = setting_must_acquire(&setting);
    CONFORM(setting_info(&lease).id != id && setting_info(&lease).is_new == 1,
            "a parked connection was lent although its peer is gone");
    setting_release(&lease);
    CONFORM(setting_statistics(&setting).ended[CONNPOOL_REASON_DEAD] == 1, "the dead connection was not counted");
    setting_close(&setting);
}

/* ---- Fork ---- */

/* The child is refused, and ends as programs end, with all that libraries do then. */
noreturn static void live_as_child(struct setting *setting, connpool_lease *lease)
{
    connpool_lease other = CONNPOOL_LEASE_NONE;
    connpool_status acquired = connpool_acquire(setting->pool, "server", 1000, &other, NULL);
    connpool_status closed = connpool_close(setting->context, 0, NULL);

    (void)connpool_release(lease);
    CONFORM(acquired == CONNPOOL_FORKED && closed == CONNPOOL_FORKED, "a forked child may acquire (%s) or close (%s)",
            connpool_status_text(acquired), connpool_status_text(closed));
    if (CONFORM_IS_SANITIZED) {
        _exit(EXIT_SUCCESS); /* what other threads held is a leak to the sanitizer */
    }
    exit(EXIT_SUCCESS);
}

/* A child's life and end does nothing to the parent's connections, lent or parked. (failures.md B9) */
void case_fork(const struct conform_subject *subject)
{
    connpool_lease leased, parked;
    struct setting setting;
    uint64_t parked_id, leased_id;
    int status = 0;
    pid_t pid;

    setting_open(&setting, subject, NULL, KEYS);
    leased = setting_must_acquire(&setting);
    parked = setting_must_acquire(&setting);
    leased_id = setting_info(&leased).id;
    parked_id = setting_info(&parked).id;
    setting_release(&parked);
    conform_at("fork");
    pid = fork();
    if (pid == 0) {
        live_as_child(&setting, &leased);
    }
    CONFORM(pid > 0 && waitpid(pid, &status, 0) == pid, "no child");
    CONFORM(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status 0x%x", status);
    parked = setting_must_acquire(&setting);
    CONFORM(setting_info(&parked).id == parked_id, "a parked connection did not survive a child's end: %s",
            setting_tale(&setting));
    setting_release(&leased);
    leased = setting_must_acquire(&setting);
    CONFORM(setting_info(&leased).id == leased_id, "a lent connection did not survive a child's end: %s",
            setting_tale(&setting));
    setting_release(&leased);
    setting_release(&parked);
    setting_close(&setting);
}
