/* SPDX-License-Identifier: MIT */
/* test_manager_steps: the plugin half of the test manager: step functions that do as they are told and check the host,
 * and the tables of its managers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_manager_state.h"

enum phase { PHASE_NEW, PHASE_OPENING, PHASE_READY, PHASE_FAILED, PHASE_ENDED };

struct test_options {
    const char *name;
    const char *flavour;
    const char *shared;
};

/* The state of an endpoint and of a pool. */
struct test_parent {
    struct connpool_head head;
    uint32_t magic;
    uint32_t epoch;
};

#define ENDPOINT_MAGIC UINT32_C(0x656e6470)
#define POOL_MAGIC     UINT32_C(0x706f6f6c)

static const char *const operation_names[] = {"open", "check", "prepare", "reset", "idle", "close", "destroy"};
static const char operation_letters[] = "okpricd";

/* ---- Checks of the host ---- */

static void check_wait(enum test_operation operation, const struct test_state *state, const struct connpool_wait *wait,
                       const struct connpool_fault *fault, bool is_first)
{
    const char *name = operation_names[operation];

    if (wait->size < sizeof(*wait) || fault->size < sizeof(*fault)) {
        test_manager_breach("%s: size of the wait is %u, of the fault %u", name, wait->size, fault->size);
    }
    if (wait->fd != -1 || wait->events != 0 || wait->at != 0 ||
        (wait->flags & (CONNPOOL_WAIT_WAKE | CONNPOOL_WAIT_BUSY)) != 0) {
        test_manager_breach("%s: the wait was not cleared: fd %d, events %u, at %lld, flags %u", name, wait->fd,
                            wait->events, (long long)wait->at, wait->flags);
    }
    if (wait->now <= 0) {
        test_manager_breach("%s: the time is %lld", name, (long long)wait->now);
    }
    if (is_first && operation != TEST_IDLE && wait->ready != 0) {
        test_manager_breach("%s: ready is %u on the first call", name, wait->ready);
    }
    if (is_first && fault->error_class != 0) {
        test_manager_breach("%s: begins with a fault of class %d", name, fault->error_class);
    }
    if ((wait->flags & CONNPOOL_WAIT_FOR_LOOP) != 0 && operation != TEST_PREPARE) {
        test_manager_breach("%s of connection %u: FOR_LOOP", name, state->connection.number);
    }
}

static void check_head(const struct connpool_head *head, uint32_t parent_magic, const char *what)
{
    const struct test_parent *parent = head->parent;

    if (head->host == NULL || head->host->size < sizeof(struct connpool_host) || head->host->wake == NULL ||
        head->host->clock == NULL || head->host->log == NULL || head->options == NULL) {
        test_manager_breach("%s: the head's host or options are missing", what);
    }
    if (parent_magic != 0 ? parent == NULL || parent->magic != parent_magic : parent != NULL) {
        test_manager_breach("%s: the head's parent is wrong", what);
    }
}

/* Whether the operation may begin or go on in this connection. */
static void check_phase(enum test_operation operation, const struct test_state *state)
{
    const char *name = operation_names[operation];
    uint32_t number = state->connection.number;

    if (state->magic != TEST_ALIVE) {
        test_manager_breach("%s: on a connection that was not opened or is destroyed", name);
    } else if (operation == TEST_OPEN ? state->phase > PHASE_OPENING : state->phase != PHASE_READY) {
        test_manager_breach("%s: of connection %u in phase %d", name, number, state->phase);
    } else if (state->running >= 0 && state->running != (int32_t)operation) {
        test_manager_breach("%s: of connection %u in the middle of %s", name, number, operation_names[state->running]);
    }
}

/* ---- Answers ---- */

static int32_t answer_fault(const struct test_state *state, struct connpool_fault *fault)
{
    const struct test_behaviour *behaviour = &state->behaviour;

    if (fault->error_class == 0) {
        fault->error_class = behaviour->error_class;
        fault->scope = behaviour->scope;
        (void)snprintf(fault->text, sizeof(fault->text), "%s", behaviour->text == NULL ? "as told" : behaviour->text);
    }
    return -behaviour->error_class;
}

static bool open_sockets(struct test_state *state)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, state->sockets) == 0;
}

/* Another socket pair, the connection's end under the number that it had. */
static void switch_sockets(struct test_state *state)
{
    int fresh[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fresh) != 0) {
        test_manager_breach("the test has no descriptors: %s", strerror(errno));
        return;
    }
    (void)dup3(fresh[0], state->sockets[0], O_CLOEXEC);
    (void)close(fresh[0]);
    (void)close(state->sockets[1]);
    state->sockets[1] = fresh[1];
}

static int32_t answer_socket(struct test_state *state, struct connpool_wait *wait)
{
    int32_t result = CONNPOOL_STEP_AGAIN;
    char byte;

    test_manager_lock();
    if (state->sockets[0] < 0 && !open_sockets(state)) {
        test_manager_breach("the test has no descriptors: %s", strerror(errno));
    } else if (recv(state->sockets[0], &byte, 1, MSG_DONTWAIT) >= 0) {
        result = CONNPOOL_STEP_DONE;
    } else if (state->behaviour.kind == TEST_SWITCH_SOCKET) {
        switch_sockets(state);
    }
    wait->fd = state->sockets[0];
    wait->events = CONNPOOL_EVENT_READ;
    test_manager_unlock();
    return result;
}

static int32_t answer_slow(struct test_state *state, struct connpool_wait *wait)
{
    if (state->until == 0) {
        state->until = wait->now + state->behaviour.delay;
    }
    if (wait->now >= state->until) {
        return CONNPOOL_STEP_DONE;
    }
    wait->at = state->until;
    return CONNPOOL_STEP_AGAIN;
}

static int32_t answer_wake(struct test_state *state, struct connpool_wait *wait, bool is_kept)
{
    if (is_kept && atomic_load(&state->is_woken)) {
        return CONNPOOL_STEP_DONE;
    }
    if (wait->token == 0) {
        test_manager_breach("no token to wake connection %u", state->connection.number);
    }
    wait->flags |= CONNPOOL_WAIT_WAKE;
    if (is_kept && state->token != wait->token) {
        state->token = wait->token;
        test_manager_keep_wake(wait->token);
    }
    return CONNPOOL_STEP_AGAIN;
}

static int32_t answer_watch(struct test_state *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    if (wait->ready != 0) {
        state->behaviour.error_class = CONNPOOL_ERROR_CLOSED;
        state->behaviour.text = "the peer closed it";
        return answer_fault(state, fault);
    }
    test_manager_lock();
    if (state->sockets[0] < 0 && !open_sockets(state)) {
        test_manager_breach("the test has no descriptors: %s", strerror(errno));
    }
    wait->fd = state->sockets[0];
    wait->events = CONNPOOL_EVENT_READ;
    test_manager_unlock();
    return CONNPOOL_STEP_AGAIN;
}

/* The end of a slow operation. */
static int32_t answer_late(struct test_state *state, struct connpool_fault *fault, int32_t result)
{
    return result == CONNPOOL_STEP_DONE && state->behaviour.error_class != 0 ? answer_fault(state, fault) : result;
}

static int32_t answer(struct test_state *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    switch (state->behaviour.kind) {
    case TEST_FAIL:
        return answer_fault(state, fault);
    case TEST_SLOW:
        return answer_late(state, fault, answer_slow(state, wait));
    case TEST_SLOW_SOCKET:
    case TEST_SWITCH_SOCKET:
        return answer_late(state, fault, answer_socket(state, wait));
    case TEST_SLOW_WAKE:
        return answer_late(state, fault, answer_wake(state, wait, true));
    case TEST_NEVER:
        if (state->behaviour.error_class != 0) {
            (void)answer_fault(state, fault);
        }
        return answer_wake(state, wait, false);
    case TEST_TRICKLE:
        wait->at = wait->now + state->behaviour.delay;
        return CONNPOOL_STEP_AGAIN;
    case TEST_GARBAGE_CODE:
        return state->behaviour.code;
    case TEST_GARBAGE_NO_WAIT:
        return CONNPOOL_STEP_AGAIN;
    case TEST_WATCH:
        return answer_watch(state, wait, fault);
    case TEST_BUSY:
        if (answer_slow(state, wait) == CONNPOOL_STEP_DONE) {
            return CONNPOOL_STEP_DONE;
        }
        wait->flags |= CONNPOOL_WAIT_BUSY;
        return CONNPOOL_STEP_AGAIN;
    case TEST_BLOCK:
        test_manager_block();
        return CONNPOOL_STEP_DONE;
    case TEST_OK:
    default:
        return CONNPOOL_STEP_DONE;
    }
}

/* ---- Steps ---- */

static void born(struct test_state *state)
{
    const struct test_options *options = state->head.options;

    state->magic = TEST_ALIVE;
    state->phase = PHASE_OPENING;
    state->running = -1;
    state->sockets[0] = state->sockets[1] = -1;
    check_head(&state->head, ENDPOINT_MAGIC, "connection");
    (void)snprintf(state->connection.endpoint, sizeof(state->connection.endpoint), "%s",
                   options == NULL || options->name == NULL ? "" : options->name);
    test_manager_born(state);
}

static void begin(enum test_operation operation, struct test_state *state, const struct connpool_wait *wait)
{
    char letter = operation_letters[operation];

    if (operation == TEST_CLOSE && (wait->flags & CONNPOOL_WAIT_CUT) != 0) {
        letter = 'C';
    }
    test_manager_called(operation, state, letter);
    test_manager_set_deadline(operation, wait->deadline);
    if (operation == TEST_PREPARE) {
        test_manager_set_for_loop((wait->flags & CONNPOOL_WAIT_FOR_LOOP) != 0);
    }
    state->behaviour = test_manager_behaviour(operation, state);
    atomic_store(&state->is_woken, false);
    if (operation != TEST_IDLE) {
        state->until = 0;
    }
}

static void ended(enum test_operation operation, struct test_state *state, int32_t result)
{
    state->running = result == CONNPOOL_STEP_AGAIN && operation != TEST_IDLE ? (int32_t)operation : -1;
    if (operation == TEST_IDLE && result == CONNPOOL_STEP_DONE) {
        state->until = 0;
    }
    if (operation == TEST_CLOSE && result != CONNPOOL_STEP_AGAIN) {
        state->phase = PHASE_ENDED;
    } else if (result < 0 || result > CONNPOOL_STEP_AGAIN) {
        state->phase = PHASE_FAILED;
    } else if (operation == TEST_OPEN && result == CONNPOOL_STEP_DONE) {
        state->phase = PHASE_READY;
    }
}

static int32_t step(enum test_operation operation, struct test_state *state, struct connpool_wait *wait,
                    struct connpool_fault *fault)
{
    bool is_first;
    int32_t result;

    if (operation == TEST_OPEN && state->phase == PHASE_NEW) {
        born(state);
    }
    if (atomic_exchange(&state->inside, 1) != 0) {
        test_manager_breach("%s: of connection %u beside another operation", operation_names[operation],
                            state->connection.number);
    }
    check_phase(operation, state);
    is_first = state->running != (int32_t)operation;
    check_wait(operation, state, wait, fault, is_first);
    if (is_first) {
        begin(operation, state, wait);
    }
    result = answer(state, wait, fault);
    ended(operation, state, result);
    if (operation == TEST_CLOSE && (wait->flags & CONNPOOL_WAIT_CUT) != 0) {
        state->phase = PHASE_ENDED;
    }
    atomic_store(&state->inside, 0);
    return result;
}

static int32_t open_step(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return step(TEST_OPEN, connection, wait, fault);
}

static int32_t open_with_sockets(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct test_state *state = connection;
    int32_t result = step(TEST_OPEN, connection, wait, fault);

    test_manager_lock();
    if (state->sockets[0] < 0 && !open_sockets(state)) {
        test_manager_breach("the test has no descriptors: %s", strerror(errno));
    }
    test_manager_unlock();
    return result;
}

static int32_t check_step(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return step(TEST_CHECK, connection, wait, fault);
}

static int32_t prepare_step(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return step(TEST_PREPARE, connection, wait, fault);
}

static int32_t reset_step(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return step(TEST_RESET, connection, wait, fault);
}

static int32_t idle_step(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return step(TEST_IDLE, connection, wait, fault);
}

static int32_t close_step(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return step(TEST_CLOSE, connection, wait, fault);
}

static void destroy(void *connection)
{
    struct test_state *state = connection;

    if (atomic_exchange(&state->inside, 1) != 0) {
        test_manager_breach("destroy: of connection %u beside another operation", state->connection.number);
    }
    if (state->magic != TEST_ALIVE) {
        test_manager_breach("destroy: of a connection whose open was not started, or again");
        return;
    }
    test_manager_called(TEST_DESTROY, state, 'd');
    test_manager_died(state);
    state->magic = 0;
    if (state->sockets[0] >= 0) {
        (void)close(state->sockets[0]);
        (void)close(state->sockets[1]);
    }
    atomic_store(&state->inside, 0);
}

static int32_t native(void *connection, const char *type, void **out)
{
    struct test_state *state = connection;

    if (strcmp(type, TEST_CONNECTION_TYPE) != 0) {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    *out = &state->connection;
    return 0;
}

static int32_t descriptors(void *connection, int32_t *list, int32_t capacity)
{
    struct test_state *state = connection;

    if (state->magic != TEST_ALIVE) {
        test_manager_breach("descriptors: of a connection whose open was not started");
        return 0;
    }
    if (state->sockets[0] < 0) {
        return 0;
    }
    if (capacity > 0) {
        list[0] = state->sockets[0];
    }
    return 1;
}

/* The peer's end first: what comes makes only the second of them readable. */
static int32_t both_descriptors(void *connection, int32_t *list, int32_t capacity)
{
    struct test_state *state = connection;

    if (descriptors(connection, list, capacity) == 0 || capacity < 2) {
        return 0;
    }
    list[0] = state->sockets[1];
    list[1] = state->sockets[0];
    return 2;
}

/* ---- Pools and endpoints ---- */

/* The host that lives for ever: late wakes go through it. */
static int32_t load(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)fault;
    test_manager_keep_host(host);
    return 0;
}

static int32_t pool_init(void *pool, struct connpool_fault *fault)
{
    struct test_parent *state = pool;

    (void)fault;
    state->magic = POOL_MAGIC;
    check_head(&state->head, 0, "pool");
    state->epoch = test_manager_epoch();
    test_manager_count_pool(state->epoch, 1);
    return 0;
}

static void pool_fini(void *pool)
{
    test_manager_count_pool(((struct test_parent *)pool)->epoch, -1);
}

static int32_t endpoint_init(void *endpoint, struct connpool_fault *fault)
{
    struct test_parent *state = endpoint;
    const struct test_options *options = state->head.options;

    state->magic = ENDPOINT_MAGIC;
    check_head(&state->head, POOL_MAGIC, "endpoint");
    state->epoch = test_manager_epoch();
    test_manager_count_endpoint(state->epoch, 1);
    if (options != NULL && options->flavour != NULL && strcmp(options->flavour, "broken") == 0) {
        fault->error_class = CONNPOOL_ERROR_CONFIGURATION;
        (void)snprintf(fault->text, sizeof(fault->text), "no endpoint of that flavour");
        return -CONNPOOL_ERROR_CONFIGURATION;
    }
    return 0;
}

static void endpoint_fini(void *endpoint)
{
    struct test_parent *state = endpoint;

    state->magic = 0;
    test_manager_count_endpoint(state->epoch, -1);
}

static int32_t parse_endpoint(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    static const char same[] = "same:", flavoured[] = "flavoured:", broken[] = "broken:";
    int32_t result = 0;

    if (text[0] == '!') {
        fault->error_class = CONNPOOL_ERROR_CONFIGURATION;
        (void)snprintf(fault->text, sizeof(fault->text), "a name does not begin with '!'");
        return -CONNPOOL_ERROR_CONFIGURATION;
    }
    if (strncmp(text, same, sizeof(same) - 1) == 0) {
        text += sizeof(same) - 1;
    } else if (strncmp(text, flavoured, sizeof(flavoured) - 1) == 0) {
        text += sizeof(flavoured) - 1;
        result = set(context, "flavour", "sweet", 5, fault);
    } else if (strncmp(text, broken, sizeof(broken) - 1) == 0) {
        text += sizeof(broken) - 1;
        result = set(context, "flavour", "broken", 6, fault);
    }
    return result != 0 ? result : set(context, "name", text, strlen(text), fault);
}

/* ---- Tables ---- */

static const struct connpool_option options[] = {
    {.name = "name",
     .help = "What the endpoint is called",
     .level = CONNPOOL_LEVEL_BOTH,
     .type = CONNPOOL_TYPE_STRING,
     .flags = CONNPOOL_OPTION_REQUIRED,
     .offset = offsetof(struct test_options, name)},
    {.name = "flavour",
     .help = "Something that tells endpoints apart; 'broken' is refused",
     .level = CONNPOOL_LEVEL_BOTH,
     .type = CONNPOOL_TYPE_STRING,
     .offset = offsetof(struct test_options, flavour)},
    {.name = "shared",
     .help = "What pool_init reads",
     .level = CONNPOOL_LEVEL_BOTH,
     .type = CONNPOOL_TYPE_STRING,
     .flags = CONNPOOL_OPTION_SHARED,
     .offset = offsetof(struct test_options, shared)},
};

/* What all tables begin with. */
#define TABLE(called)                                                                                                  \
    .magic = CONNPOOL_MANAGER_MAGIC, .abi_major = CONNPOOL_ABI_MAJOR, .abi_minor = CONNPOOL_ABI_MINOR,                 \
    .size = sizeof(struct connpool_manager), .name = (called), .version = "1", .summary = "Does as it is told",        \
    .options = options, .option_count = sizeof(options) / sizeof(options[0]),                                          \
    .option_stride = sizeof(struct connpool_option), .options_size = sizeof(struct test_options),                      \
    .pool_size = sizeof(struct test_parent), .endpoint_size = sizeof(struct test_parent),                              \
    .connection_size = sizeof(struct test_state), .load = load, .pool_init = pool_init, .pool_fini = pool_fini,        \
    .endpoint_init = endpoint_init, .endpoint_fini = endpoint_fini, .parse_endpoint = parse_endpoint,                  \
    .destroy = destroy, .native = native

#define ALL_STEPS                                                                                                      \
    .open = open_step, .check = check_step, .prepare = prepare_step, .reset = reset_step, .idle = idle_step,           \
    .close = close_step, .descriptors = descriptors

static const struct connpool_manager test_table = {TABLE("test"), ALL_STEPS};
static const struct connpool_manager null_table = {TABLE("test-null"), .open = open_step};
static const struct connpool_manager sockets_table = {TABLE("test-sockets"), .open = open_with_sockets,
                                                      .close = close_step, .descriptors = descriptors};
static const struct connpool_manager both_sockets_table = {TABLE("test-both-sockets"), .open = open_with_sockets,
                                                           .close = close_step, .descriptors = both_descriptors};
static const struct connpool_manager blocking_tables[] = {
    {TABLE("test-blocking-open"), ALL_STEPS, .blocking_operations = CONNPOOL_BLOCKING_OPEN},
    {TABLE("test-blocking-check"), ALL_STEPS, .blocking_operations = CONNPOOL_BLOCKING_CHECK},
    {TABLE("test-blocking-prepare"), ALL_STEPS, .blocking_operations = CONNPOOL_BLOCKING_PREPARE},
    {TABLE("test-blocking-reset"), ALL_STEPS, .blocking_operations = CONNPOOL_BLOCKING_RESET},
    {TABLE("test-blocking-idle"), ALL_STEPS, .blocking_operations = CONNPOOL_BLOCKING_IDLE},
    {TABLE("test-blocking-close"), ALL_STEPS, .blocking_operations = CONNPOOL_BLOCKING_CLOSE},
};
static const struct connpool_manager *const tables[] = {
    &test_table,         &null_table,         &sockets_table,      &both_sockets_table, &blocking_tables[0],
    &blocking_tables[1], &blocking_tables[2], &blocking_tables[3], &blocking_tables[4], &blocking_tables[5],
};

const struct connpool_manager *const *test_manager_tables(uint32_t *count)
{
    *count = sizeof(tables) / sizeof(tables[0]);
    return tables;
}
