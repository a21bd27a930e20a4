/* SPDX-License-Identifier: MIT */
/* defective: see defective.h. */
#include "defective.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOME_MS 25 /* more than is allowed under a sanitizer, too */

struct lines_options {
    const char *host;
    int64_t port;
    const char *password;
};

enum progress { PROGRESS_NEW, PROGRESS_DIALLING, PROGRESS_TALKING };

struct lines_connection {
    struct connpool_head head;
    struct connpool_dial *dial;
    int32_t fd; /* valid while it has one */
    int32_t has_fd;
    int32_t spare; /* of DEFECT_LEAKS_DESCRIPTOR */
    uint32_t heard;
    enum progress progress;
    int64_t began;
};

static enum defect defect;
static struct connpool_manager manager;
static int32_t last_fd = -1;

static int32_t fail(struct connpool_fault *fault, int32_t error_class, const char *text)
{
    if (fault->error_class == 0) {
        fault->error_class = error_class;
        if (defect != DEFECT_FAULT_WITHOUT_TEXT) {
            (void)snprintf(fault->text, sizeof(fault->text), "%s", text);
        }
    }
    return -fault->error_class;
}

/* ---- Progress, which some keep in the wrong place ---- */

static enum progress shared_progress;
static _Thread_local enum progress progress_of_thread;

static enum progress *progress_of(struct lines_connection *connection)
{
    if (defect == DEFECT_SHARED_PROGRESS) {
        return &shared_progress;
    }
    return defect == DEFECT_THREAD_LOCAL ? &progress_of_thread : &connection->progress;
}

/* ---- What should not be in a step ---- */

static void wait_for(int fd, int limit_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    (void)poll(&polled, 1, limit_ms);
}

static int64_t cpu_time_ms(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void burn(void)
{
    int64_t end = cpu_time_ms() + SOME_MS;

    while (cpu_time_ms() < end) {
    }
}

static void misuse_time(const struct lines_connection *connection)
{
    if (defect == DEFECT_BLOCKS) {
        wait_for(-1, SOME_MS);
    } else if (defect == DEFECT_BURNS) {
        burn();
    } else if (defect == DEFECT_BLOCKS_FOR_EVER) {
        wait_for(connection->fd, -1);
    }
}

/* ---- An exchange: a letter and a line end, and their echo ---- */

#define WORD_SIZE 2

static int32_t say(const struct lines_connection *connection, char letter, struct connpool_fault *fault)
{
    const char word[WORD_SIZE] = {letter, '\n'};
    int flags = MSG_DONTWAIT | (defect == DEFECT_SIGPIPE ? 0 : MSG_NOSIGNAL);

    return send(connection->fd, word, sizeof(word), flags) == sizeof(word)
               ? 0
               : fail(fault, CONNPOOL_ERROR_CLOSED, "the peer takes nothing more");
}

static int32_t wait_on(const struct lines_connection *connection, struct connpool_wait *wait)
{
    wait->fd = connection->fd;
    wait->events = CONNPOOL_EVENT_READ | (defect == DEFECT_SPINS ? CONNPOOL_EVENT_WRITE : 0);
    if (defect == DEFECT_AGAIN_FOR_NOTHING) {
        wait->fd = -1;
        wait->events = 0;
    }
    if (defect == DEFECT_WAIT_CHANGES) {
        wait->at = wait->now + 60 * INT64_C(1000000000);
    }
    return CONNPOOL_STEP_AGAIN;
}

static int32_t lose(struct connpool_fault *fault)
{
    return defect == DEFECT_CUT_IS_VERDICT ? fail(fault, CONNPOOL_ERROR_AUTHENTICATION, "the peer does not want us")
                                           : fail(fault, CONNPOOL_ERROR_CLOSED, "the peer ended the connection");
}

static int32_t hear(struct lines_connection *connection, char letter, struct connpool_wait *wait,
                    struct connpool_fault *fault)
{
    const char word[WORD_SIZE] = {letter, '\n'};
    char heard[WORD_SIZE];
    ssize_t length;

    if (defect == DEFECT_EARLY_FAILS && wait->ready == 0) {
        return fail(fault, CONNPOOL_ERROR_PROTOCOL, "nothing is there");
    }
    length = recv(connection->fd, heard, WORD_SIZE - connection->heard, MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN)) {
        return lose(fault);
    }
    if (length > 0 && (memcmp(heard, word + connection->heard, (size_t)length) != 0 ||
                       (defect == DEFECT_PIECES && length < WORD_SIZE))) {
        return fail(fault, CONNPOOL_ERROR_PROTOCOL, "the peer said something else");
    }
    connection->heard += length > 0 ? (uint32_t)length : 0;
    return connection->heard == WORD_SIZE ? CONNPOOL_STEP_DONE : wait_on(connection, wait);
}

static int32_t exchange(struct lines_connection *connection, char letter, struct connpool_wait *wait,
                        struct connpool_fault *fault)
{
    enum progress *progress = progress_of(connection);
    int32_t result;

    if (*progress != PROGRESS_TALKING) {
        result = say(connection, letter, fault);
        if (result != 0) {
            return result;
        }
        *progress = PROGRESS_TALKING;
        connection->heard = 0;
        wait_for(connection->fd, defect == DEFECT_WAITS_FOR_ANSWER ? 1000 : 0);
        return wait_on(connection, wait); /* that the echo may be there already is left to the next call */
    }
    misuse_time(connection);
    result = hear(connection, letter, wait, fault);
    if (result != CONNPOOL_STEP_AGAIN) {
        *progress = PROGRESS_NEW;
    }
    return result;
}

/* ---- Open ---- */

static int32_t dial(struct lines_connection *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct lines_options *lines = connection->head.options;
    const struct connpool_host *host = connection->head.host;
    const struct connpool_dial_options options = {
        .size = sizeof(options), .host = lines->host, .port = (uint32_t)lines->port};
    int32_t result;

    if (connection->dial == NULL) {
        connection->dial = host->dial_start(host, &options, fault);
        connection->began = wait->now;
    }
    if (connection->dial == NULL) {
        return -fault->error_class;
    }
    result = host->dial_step(connection->dial, wait, fault);
    if (result != CONNPOOL_STEP_DONE) {
        return result;
    }
    connection->fd = last_fd = host->dial_take(connection->dial);
    connection->has_fd = 1;
    if (defect == DEFECT_NO_CLOEXEC) {
        (void)fcntl(connection->fd, F_SETFD, 0);
    }
    if (defect == DEFECT_LEAKS_DESCRIPTOR) {
        connection->spare = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
    }
    return CONNPOOL_STEP_DONE;
}

static int32_t tell_too_much(const struct lines_connection *connection, struct connpool_fault *fault, int32_t result)
{
    const struct lines_options *options = connection->head.options;
    const char *password = options->password == NULL ? "no password" : options->password;

    if (defect == DEFECT_SECRET_IN_LOG) {
        connection->head.host->log(connection->head.host, CONNPOOL_LOG_DEBUG, password);
    }
    if (defect == DEFECT_PRINTS) {
        (void)fprintf(stderr, "debug: opening\n");
    }
    if (defect == DEFECT_SECRET_IN_ERROR && result < 0) {
        (void)snprintf(fault->text, sizeof(fault->text), "cannot log in with %s", password);
    }
    if (defect == DEFECT_REFUSED_IS_INTERNAL && result == -CONNPOOL_ERROR_REFUSED) {
        fault->error_class = CONNPOOL_ERROR_INTERNAL;
        return -CONNPOOL_ERROR_INTERNAL;
    }
    if (defect == DEFECT_FAULT_WITHOUT_TEXT && result < 0) {
        fault->text[0] = '\0';
    }
    return result;
}

static int32_t lines_open(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct lines_connection *connection = state;
    int32_t result = CONNPOOL_STEP_DONE;

    if (defect == DEFECT_ANSWERS_NONSENSE) {
        return 77;
    }
    if (!connection->has_fd) {
        result = dial(connection, wait, fault);
    }
    if (result == CONNPOOL_STEP_DONE && defect == DEFECT_OWN_TIMEOUT && wait->now > connection->began + 3000000000) {
        result = fail(fault, CONNPOOL_ERROR_TIMEOUT, "it took too long");
    }
    if (result == CONNPOOL_STEP_DONE) {
        result = exchange(connection, 'o', wait, fault);
    }
    return tell_too_much(connection, fault, result);
}

/* ---- The other steps ---- */

static int32_t lines_check(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return defect == DEFECT_CHECK_OF_NOTHING ? CONNPOOL_STEP_DONE : exchange(state, 'k', wait, fault);
}

static int32_t lines_reset(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return exchange(state, 'r', wait, fault);
}

static int32_t lines_close(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return exchange(state, 'c', wait, fault);
}

static int32_t lines_prepare(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct lines_connection *connection = state;
    bool is_blocking = (wait->flags & CONNPOOL_WAIT_FOR_LOOP) == 0 || defect == DEFECT_HANDLE_MODE;
    int flags = fcntl(connection->fd, F_GETFL);

    (void)fault;
    (void)fcntl(connection->fd, F_SETFL, is_blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
    return CONNPOOL_STEP_DONE;
}

static int32_t lines_idle(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct lines_connection *connection = state;
    char byte;

    if (defect == DEFECT_IDLE_SEES_NOTHING) {
        return CONNPOOL_STEP_DONE;
    }
    if (wait->ready != 0 && (recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)) {
        return fail(fault, CONNPOOL_ERROR_CLOSED, "the peer ended the idle connection");
    }
    wait->fd = connection->fd;
    wait->events = CONNPOOL_EVENT_READ;
    return CONNPOOL_STEP_AGAIN;
}

static void lines_destroy(void *state)
{
    struct lines_connection *connection = state;
    char byte;

    connection->head.host->dial_stop(connection->dial);
    if (defect == DEFECT_DESTROY_CRASHES && connection->progress == PROGRESS_TALKING) {
        (void)raise(SIGSEGV);
    }
    if (connection->has_fd) {
        if (defect == DEFECT_DESTROY_WAITS) {
            (void)recv(connection->fd, &byte, 1, MSG_PEEK);
        }
        (void)close(connection->fd);
    }
}

static int32_t lines_native(void *state, const char *type, void **out)
{
    struct lines_connection *connection = state;

    if (strcmp(type, "fd") != 0 && defect != DEFECT_NATIVE_OF_ANYTHING) {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    *out = &connection->fd;
    return 0;
}

static int32_t lines_descriptors(void *state, int32_t *descriptors, int32_t capacity)
{
    const struct lines_connection *connection = state;

    if (!connection->has_fd || defect == DEFECT_TELLS_NO_DESCRIPTOR) {
        return 0;
    }
    if (capacity > 0) {
        descriptors[0] = connection->fd;
    }
    if (capacity > 1 && defect == DEFECT_LEAKS_DESCRIPTOR) {
        descriptors[1] = connection->spare;
    }
    return defect == DEFECT_LEAKS_DESCRIPTOR ? 2 : 1;
}

static int32_t lines_parse_endpoint(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    const char *colon = strrchr(text, ':');
    int32_t result;

    if (colon == NULL && defect == DEFECT_PARSER_CRASHES) {
        (void)raise(SIGSEGV);
    }
    if (colon == NULL) {
        return fail(fault, CONNPOOL_ERROR_CONFIGURATION, "expected host:port");
    }
    result = set(context, "host", text, (size_t)(colon - text), fault);
    return result != 0 ? result : set(context, "port", colon + 1, strlen(colon + 1), fault);
}

static void end_last(void)
{
    (void)shutdown(last_fd, SHUT_RDWR);
}

static int32_t lines_load(const struct connpool_host *host, struct connpool_fault *fault)
{
    static const struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)host;
    (void)fault;
    if (defect == DEFECT_TELLS_NO_DESCRIPTOR) {
        (void)atexit(end_last);
    }
    if (defect == DEFECT_IGNORES_SIGPIPE) {
        (void)sigaction(SIGPIPE, &ignore, NULL);
    }
    return 0;
}

/* ---- Tables ---- */

static struct connpool_option rows[] = {
    {
        .name = "host",
        .help = "address to connect to",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .offset = offsetof(struct lines_options, host),
        .minimum = "1",
    },
    {
        .name = "port",
        .help = "port to connect to",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_INTEGER,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .offset = offsetof(struct lines_options, port),
        .minimum = "1",
        .maximum = "65535",
    },
    {
        .name = "password",
        .help = "what nobody may know",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_SECRET,
        .offset = offsetof(struct lines_options, password),
    },
};

static struct connpool_manager manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "lines",
    .version = "1",
    .summary = "Says a letter and waits for its echo",
    .options = rows,
    .option_count = sizeof(rows) / sizeof(rows[0]),
    .option_stride = sizeof(struct connpool_option),
    .options_size = sizeof(struct lines_options),
    .connection_size = sizeof(struct lines_connection),
    .load = lines_load,
    .parse_endpoint = lines_parse_endpoint,
    .open = lines_open,
    .check = lines_check,
    .prepare = lines_prepare,
    .reset = lines_reset,
    .idle = lines_idle,
    .close = lines_close,
    .destroy = lines_destroy,
    .native = lines_native,
    .descriptors = lines_descriptors,
};

void defective_set(enum defect wanted)
{
    defect = wanted;
    rows[0].help = wanted == DEFECT_HELP ? "host." : "address to connect to";
    manager.blocking_operations = wanted == DEFECT_AGAIN_MARKED ? CONNPOOL_BLOCKING_CHECK : 0;
}

const struct connpool_manager *defective_manager(void)
{
    return &manager;
}
