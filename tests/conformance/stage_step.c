/* SPDX-License-Identifier: MIT */
/* stage_step: the steps of a stage's connections, made by hand or by the library's drivers, each answer checked. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"
#include "base/events.h"
#include "engine/driver.h"
#include "engine/token.h"
#include "pool/run.h"
#include "stage.h"

#define DEADLINE (60 * CP_SECOND)
#define LATENESS (10 * CP_SECOND)

/* No operation of any manager takes as many steps: one that does is called again and again for nothing. */
#define MOST_STEPS 5000
/* Longer than any healthy server takes to answer, also on a busy machine. */
#define PATIENCE_MS 10000

static const struct cp_clock clock_of_system;

static connpool_step_fn *function_of(const struct stage *stage, enum cp_kind kind)
{
    const struct connpool_manager *manager = stage->manager;
    connpool_step_fn *const functions[CP_KIND_COUNT] = {manager->open,  manager->check, manager->prepare,
                                                        manager->reset, manager->idle,  manager->close};

    return functions[kind];
}

bool stage_has(const struct stage *stage, enum cp_kind kind)
{
    return function_of(stage, kind) != NULL;
}

bool stage_is_blocking(const struct stage *stage, enum cp_kind kind)
{
    return (stage->manager->blocking_operations & (1u << kind)) != 0;
}

/* ---- The answer ---- */

static void check_again(const struct stage_connection *connection, const struct connpool_wait *wait, const char *name)
{
    bool has_fd = wait->fd >= 0;

    CONFORM(!stage_is_blocking(connection->stage, connection->kind), "%s is marked as blocking and answered again",
            name);
    CONFORM(connection->kind != CP_PREPARE, "prepare answered again, which it must never");
    CONFORM(has_fd || wait->at != 0 || (wait->flags & CONNPOOL_WAIT_WAKE) != 0,
            "%s answered again without saying what ends the wait", name);
    CONFORM(!has_fd || wait->events != 0, "%s named descriptor %d and no events", name, wait->fd);
    CONFORM((wait->events & ~(CONNPOOL_EVENT_READ | CONNPOOL_EVENT_WRITE)) == 0, "%s asked for events 0x%x", name,
            wait->events);
    CONFORM(!has_fd || fcntl(wait->fd, F_GETFD) >= 0, "%s named descriptor %d, which is not open", name, wait->fd);
    CONFORM((wait->flags & CONNPOOL_WAIT_BUSY) == 0 || connection->kind == CP_IDLE, "%s answered BUSY", name);
}

static void check_fault(const struct stage_connection *connection, int32_t result, const char *name)
{
    const struct connpool_fault *fault = &connection->fault;
    size_t length = strnlen(fault->text, sizeof(fault->text));

    CONFORM(result >= -CONNPOOL_ERROR_INTERNAL, "%s answered %d, which means nothing", name, result);
    CONFORM(fault->error_class == -result, "%s answered the error class %d, its fault says %d", name, -result,
            fault->error_class);
    CONFORM(fault->scope >= CONNPOOL_SCOPE_CONNECTION && fault->scope <= CONNPOOL_SCOPE_ENDPOINT,
            "%s: the fault's scope is %d", name, fault->scope);
    CONFORM(length > 0 && length < sizeof(fault->text), "%s failed without a text, or with one that has no end", name);
    CONFORM(strpbrk(fault->text, "\r\n") == NULL, "%s: the fault has more than one line: %s", name, fault->text);
    CONFORM(fault->text[length - 1] != '.', "%s: the fault's text ends with a full stop: %s", name, fault->text);
}

static void check_answer(const struct stage_connection *connection, const struct connpool_wait *wait, int32_t result)
{
    const char *name = cp_run_name(connection->kind);

    CONFORM(result <= CONNPOOL_STEP_AGAIN, "%s answered %d, which means nothing", name, result);
    if (result == CONNPOOL_STEP_AGAIN) {
        check_again(connection, wait, name);
    } else if (result < 0) {
        check_fault(connection, result, name);
    }
}

/* ---- One step ---- */

struct usage {
    int64_t wall, cpu;
    long given_away; /* how often the thread gave its CPU away */
};

static struct usage usage_now(void)
{
    struct rusage usage = {.ru_nvcsw = 0};
    struct timespec cpu;

    (void)getrusage(RUSAGE_THREAD, &usage);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return (struct usage){.wall = cp_clock_precise(&clock_of_system),
                          .cpu = cpu.tv_sec * CP_SECOND + cpu.tv_nsec,
                          .given_away = usage.ru_nvcsw};
}

/* A thread that another process pushed aside has not waited: only one that gave its CPU away has. */
static void measure(struct stage_connection *connection, const struct usage *before)
{
    struct usage after = usage_now();
    struct stage *stage = connection->stage;
    int64_t cpu = after.cpu - before->cpu;
    int64_t blocked = after.given_away > before->given_away ? after.wall - before->wall - cpu : 0;

    if (cpu > stage->longest_cpu || blocked > stage->longest_blocked) {
        (void)snprintf(stage->longest_name, sizeof(stage->longest_name), "%s, step %u", cp_run_name(connection->kind),
                       connection->steps);
    }
    stage->longest_cpu = cpu > stage->longest_cpu ? cpu : stage->longest_cpu;
    stage->longest_blocked = blocked > stage->longest_blocked ? blocked : stage->longest_blocked;
}

void stage_start(struct stage_connection *connection, enum cp_kind kind, uint32_t flags)
{
    connection->kind = kind;
    connection->flags = flags;
    connection->steps = 0;
    cp_fault_init(&connection->fault);
    memset(&connection->wait, 0, sizeof(connection->wait));
}

static int32_t call(struct stage_connection *connection, struct connpool_wait *wait)
{
    bool is_measured = !stage_is_blocking(connection->stage, connection->kind);
    struct usage before;
    int32_t result;

    connection->steps++;
    conform_at("%s, step %u", cp_run_name(connection->kind), connection->steps);
    CONFORM(connection->steps <= MOST_STEPS, "called %u times: it asks for what is always there", MOST_STEPS);
    connection->is_made = true;
    before = usage_now();
    result = function_of(connection->stage, connection->kind)(connection->state, wait, &connection->fault);
    if (is_measured) {
        measure(connection, &before);
    }
    check_answer(connection, wait, result);
    if (connection->kind == CP_OPEN && result == CONNPOOL_STEP_DONE) {
        connection->is_open_done = true;
    }
    conform_at("after %s, step %u", cp_run_name(connection->kind), connection->steps);
    return result;
}

struct hop {
    struct stage_connection *connection;
    struct connpool_wait *wait;
    int32_t result;
};

static void *hop(void *argument)
{
    struct hop *hop = argument;

    hop->result = call(hop->connection, hop->wait);
    return NULL;
}

static int32_t call_in_a_thread(struct stage_connection *connection, struct connpool_wait *wait)
{
    struct hop argument = {.connection = connection, .wait = wait};
    pthread_t thread;

    CONFORM(pthread_create(&thread, NULL, hop, &argument) == 0, "no thread for a step");
    CONFORM(pthread_join(thread, NULL) == 0, "a step's thread did not end");
    return argument.result;
}

int32_t stage_step(struct stage_connection *connection, uint32_t ready)
{
    struct stage *stage = connection->stage;
    int64_t now;

    if (stage->is_late) {
        atomic_fetch_add(&stage->lead, LATENESS);
    }
    now = stage_now(stage);
    if (!stage_has(stage, connection->kind)) {
        connection->result = CONNPOOL_STEP_DONE;
        return CONNPOOL_STEP_DONE;
    }
    cp_wait_init(&connection->wait, now, ready, connection->flags);
    connection->wait.deadline = now + DEADLINE;
    connection->wait.token = connection->token;
    connection->result =
        stage->hops ? call_in_a_thread(connection, &connection->wait) : call(connection, &connection->wait);
    return connection->result;
}

/* ---- Whole operations by hand ---- */

static int patience_of(const struct stage_connection *connection, int limit_ms)
{
    int64_t left;

    if (connection->wait.at == 0) {
        return limit_ms;
    }
    left = (connection->wait.at - stage_now(connection->stage)) / CP_MILLISECOND + 1;
    left = left < 0 ? 0 : left;
    return left < limit_ms ? (int)left : limit_ms;
}

uint32_t stage_wait(struct stage_connection *connection, int limit_ms, bool *ended)
{
    const struct connpool_wait *wait = &connection->wait;
    struct pollfd polled[] = {{.fd = connection->event, .events = POLLIN},
                              {.fd = wait->fd, .events = cp_events_to_poll(wait->events)}};
    bool may_wake = (wait->flags & CONNPOOL_WAIT_WAKE) != 0;
    int patience = patience_of(connection, limit_ms);
    eventfd_t wakes;
    int count;

    polled[0].fd = may_wake ? connection->event : -1;
    do {
        count = poll(polled, 2, patience);
    } while (count < 0 && errno == EINTR);
    if (may_wake && polled[0].revents != 0) {
        (void)eventfd_read(connection->event, &wakes);
    }
    if (ended != NULL) {
        *ended = count > 0 || (wait->at != 0 && stage_now(connection->stage) >= wait->at);
    }
    return polled[1].revents == 0 ? 0 : cp_events_from_poll(polled[1].revents, wait->events);
}

/* Calls before anything is ready are legal. */
static int32_t step_early(struct stage_connection *connection, int32_t result)
{
    for (int i = 0; i < 2 && result == CONNPOOL_STEP_AGAIN; i++) {
        result = stage_step(connection, 0);
    }
    return result;
}

bool stage_drive_some(struct stage_connection *connection, enum cp_kind kind, uint32_t flags, unsigned steps)
{
    uint32_t ready = 0;
    bool ended;

    stage_start(connection, kind, flags);
    for (unsigned made = 0; made < steps; made++) {
        int32_t result = stage_step(connection, ready);

        if (connection->stage->is_early) {
            result = step_early(connection, result);
        }
        if (result != CONNPOOL_STEP_AGAIN || (kind == CP_IDLE && (connection->wait.flags & CONNPOOL_WAIT_BUSY) == 0)) {
            return true;
        }
        if (made + 1 < steps) {
            ready = stage_wait(connection, PATIENCE_MS, &ended);
            CONFORM(ended, "nothing of what it waits for came within %d s", PATIENCE_MS / 1000);
        }
    }
    return false;
}

int32_t stage_drive_for(struct stage_connection *connection, enum cp_kind kind, uint32_t flags, int limit_ms)
{
    int64_t end = stage_now(connection->stage) + limit_ms * CP_MILLISECOND;
    uint32_t ready = 0;
    int64_t left;

    stage_start(connection, kind, flags);
    for (;;) {
        int32_t result = stage_step(connection, ready);

        left = (end - stage_now(connection->stage)) / CP_MILLISECOND;
        if (result != CONNPOOL_STEP_AGAIN || left <= 0) {
            return result;
        }
        ready = stage_wait(connection, (int)left, NULL);
    }
}

int32_t stage_drive(struct stage_connection *connection, enum cp_kind kind, uint32_t flags)
{
    (void)stage_drive_some(connection, kind, flags, UINT32_MAX);
    return connection->result;
}

void stage_must_open(struct stage *stage, struct stage_connection *connection)
{
    stage_connect(stage, connection);
    stage_must(connection, CP_OPEN, 0);
}

void stage_must(struct stage_connection *connection, enum cp_kind kind, uint32_t flags)
{
    int32_t result = stage_drive(connection, kind, flags);

    CONFORM(result >= 0, "%s of a healthy connection failed: %s: %s", cp_run_name(kind),
            connpool_error_class_text(-result), connection->fault.text);
}

/* ---- By the library's drivers ---- */

static int32_t operation_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct stage_connection *connection = (void *)operation;
    int64_t now = wait->now;

    if (!stage_has(connection->stage, connection->kind)) {
        connection->result = CONNPOOL_STEP_DONE;
        return CONNPOOL_STEP_DONE;
    }
    cp_wait_init(wait, now, connection->steps == 0 ? 0 : wait->ready, connection->flags);
    wait->deadline = now + DEADLINE;
    wait->token = connection->token;
    connection->result = call(connection, wait);
    if (connection->result != CONNPOOL_STEP_AGAIN ||
        (connection->kind == CP_IDLE && (wait->flags & CONNPOOL_WAIT_BUSY) == 0)) {
        return CONNPOOL_STEP_DONE;
    }
    if ((wait->flags & CONNPOOL_WAIT_WAKE) != 0) {
        cp_token_arm(connection->token, cp_operation_waker(operation));
    }
    return CONNPOOL_STEP_AGAIN;
}

static void operation_abandon(struct cp_operation *operation)
{
    struct stage_connection *connection = (void *)operation;

    connection->result = -CONNPOOL_ERROR_TIMEOUT;
}

static void operation_start(struct stage_connection *connection, enum cp_kind kind, uint32_t flags)
{
    stage_start(connection, kind, flags);
    connection->operation = (struct cp_operation){.step = operation_step, .abandon = operation_abandon};
}

static void operation_end(struct stage_connection *connection)
{
    cp_token_arm(connection->token, &connection->waker);
    CONFORM(connection->result != -CONNPOOL_ERROR_TIMEOUT, "%s was not driven to its end within %d s",
            cp_run_name(connection->kind), PATIENCE_MS / 1000);
}

int32_t stage_drive_blocking(struct stage_connection *connection, enum cp_kind kind, uint32_t flags)
{
    int64_t deadline = cp_clock_precise(&clock_of_system) + PATIENCE_MS * CP_MILLISECOND;

    operation_start(connection, kind, flags);
    (void)cp_drive(&connection->operation, NULL, &clock_of_system, deadline);
    operation_end(connection);
    return connection->result;
}

static void nothing(struct cp_task *task)
{
    (void)task;
}

void stage_drive_all(struct stage_connection *connections, size_t count, enum cp_kind kind, uint32_t flags)
{
    int64_t deadline = cp_clock_precise(&clock_of_system) + 2 * PATIENCE_MS * CP_MILLISECOND;
    struct connpool_fault fault;
    struct cp_loop *loop;

    cp_fault_init(&fault);
    loop = cp_loop_new(&clock_of_system, &fault);
    CONFORM(loop != NULL, "%s", fault.text);
    for (size_t i = 0; i < count; i++) {
        operation_start(&connections[i], kind, flags);
        memset(&connections[i].task, 0, sizeof(connections[i].task));
        cp_loop_start(loop, &connections[i].task, &connections[i].operation, nothing, nothing);
    }
    while (cp_loop_count(loop) > 0 && cp_clock_precise(&clock_of_system) < deadline) {
        cp_loop_run(loop, deadline);
    }
    cp_loop_abandon_all(loop);
    for (size_t i = 0; i < count; i++) {
        operation_end(&connections[i]);
    }
    cp_loop_free(loop);
}

int32_t stage_drive_loop(struct stage_connection *connection, enum cp_kind kind, uint32_t flags)
{
    stage_drive_all(connection, 1, kind, flags);
    return connection->result;
}
