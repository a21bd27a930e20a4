/* SPDX-License-Identifier: MIT */
/*
 * custom_manager: how do I pool connections of a kind that has no manager? A manager for Redis, written into the
 * program itself, with hiredis:
 *
 *     custom_manager 127.0.0.1:6379
 *
 * The host's dial connects the socket, hiredis speaks the protocol over it. The same table under the name
 * connpool_manager, in a shared object, would be a plugin (docs/plugins.md).
 */
#include <connpool/connpool.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- The manager ---- */

#define REDIS_TYPE                     "libhiredis.redisContext/" REDIS_VERSION_OF(HIREDIS_MAJOR, HIREDIS_MINOR)
#define REDIS_VERSION_OF(major, minor) REDIS_TEXT(major) "." REDIS_TEXT(minor)
#define REDIS_TEXT(number)             #number

struct redis_options {
    const char *host;
    int64_t port, database;
};

struct redis {
    struct connpool_head head;
    struct connpool_dial *dial; /* while the socket connects */
    redisContext *context;      /* after that */
    int is_asked;               /* the command of an exchange was sent, its answer is awaited */
};

static const struct connpool_option redis_rows[] = {
    {
        .name = "host",
        .help = "name or numeric address",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .offset = offsetof(struct redis_options, host),
    },
    {
        .name = "port",
        .help = "port to connect to",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_INTEGER,
        .default_text = "6379",
        .minimum = "1",
        .maximum = "65535",
        .offset = offsetof(struct redis_options, port),
    },
    {
        .name = "database",
        .help = "number of the database that is selected on each new connection",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_INTEGER,
        .minimum = "0",
        .offset = offsetof(struct redis_options, database),
    },
};

/* Text of run time, `host:port` or `host`: the host of the manager checks and stores what is found. */
static int32_t redis_parse(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    int32_t result = set(context, "host", text, length, fault);

    return result != 0 || colon == NULL ? result : set(context, "port", colon + 1, strlen(colon + 1), fault);
}

/* The first error stays; the class decides what the pool does next. */
static int32_t redis_fail(struct connpool_fault *fault, int32_t error_class, const char *text)
{
    if (fault->error_class == 0) {
        fault->error_class = error_class;
        (void)snprintf(fault->text, sizeof(fault->text), "%s", text);
    }
    return -error_class;
}

static int32_t redis_fail_with(struct connpool_fault *fault, const redisReply *reply)
{
    if (strstr(reply->str, "max number of clients") != NULL) {
        return redis_fail(fault, CONNPOOL_ERROR_RESOURCE_REMOTE, reply->str);
    }
    if (strncmp(reply->str, "NOAUTH", 6) == 0) {
        return redis_fail(fault, CONNPOOL_ERROR_AUTHENTICATION, reply->str);
    }
    return redis_fail(fault, CONNPOOL_ERROR_CONFIGURATION, reply->str);
}

/* A lease blocks, steps do not. */
static void redis_make_blocking(struct redis *redis, int blocking)
{
    redisContext *context = redis->context;

    if (blocking != ((context->flags & REDIS_BLOCK) != 0)) {
        context->flags ^= REDIS_BLOCK;
        (void)fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) ^ O_NONBLOCK);
    }
}

/* One command and its answer, as steps. The command is far shorter than any socket's buffer, and sent without SIGPIPE.
 */
static int32_t redis_exchange(struct redis *redis, const char *command, struct connpool_wait *wait,
                              struct connpool_fault *fault)
{
    redisContext *context = redis->context;
    void *reply = NULL;
    int32_t result = CONNPOOL_STEP_DONE;

    redis_make_blocking(redis, 0);
    if (!redis->is_asked) {
        if (send(context->fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command)) {
            return redis_fail(fault, CONNPOOL_ERROR_CLOSED, strerror(errno));
        }
        redis->is_asked = 1;
    }
    if (redisBufferRead(context) != REDIS_OK || redisGetReplyFromReader(context, &reply) != REDIS_OK) {
        return redis_fail(fault, context->err == REDIS_ERR_PROTOCOL ? CONNPOOL_ERROR_PROTOCOL : CONNPOOL_ERROR_CLOSED,
                          context->errstr);
    }
    if (reply == NULL) {
        wait->fd = context->fd;
        wait->events = CONNPOOL_EVENT_READ;
        return CONNPOOL_STEP_AGAIN;
    }
    redis->is_asked = 0;
    if (((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
        result = redis_fail_with(fault, reply);
    }
    freeReplyObject(reply);
    return result;
}

static int32_t redis_connect(struct redis *redis, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct redis_options *options = redis->head.options;
    const struct connpool_host *host = redis->head.host;
    const struct connpool_dial_options dial = {
        .size = sizeof(dial), .host = options->host, .port = (uint32_t)options->port};
    int32_t result;
    int fd;

    if (redis->dial == NULL && (redis->dial = host->dial_start(host, &dial, fault)) == NULL) {
        return -fault->error_class;
    }
    result = host->dial_step(redis->dial, wait, fault);
    if (result != CONNPOOL_STEP_DONE) {
        return result;
    }
    fd = host->dial_take(redis->dial);
    redis->context = redisConnectFd(fd);
    if (redis->context == NULL) {
        (void)close(fd);
        return redis_fail(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, "out of memory");
    }
    redis->context->flags &= ~REDIS_BLOCK; /* what the dial gives does not block */
    return CONNPOOL_STEP_DONE;
}

static int32_t redis_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct redis *redis = connection;
    const struct redis_options *options = redis->head.options;
    char command[64];

    if (redis->context == NULL) {
        int32_t result = redis_connect(redis, wait, fault);

        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
    }
    (void)snprintf(command, sizeof(command), "SELECT %lld\r\n", (long long)options->database);
    return redis_exchange(redis, command, wait, fault);
}

static int32_t redis_check(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return redis_exchange(connection, "PING\r\n", wait, fault);
}

static int32_t redis_prepare(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)fault;
    redis_make_blocking(connection, (wait->flags & CONNPOOL_WAIT_FOR_LOOP) == 0);
    return CONNPOOL_STEP_DONE;
}

/* Also of a connection whose open failed in the middle of whatever. */
static void redis_destroy(void *connection)
{
    struct redis *redis = connection;

    redis->head.host->dial_stop(redis->dial);
    redisFree(redis->context);
}

static int32_t redis_native(void *connection, const char *type, void **out)
{
    *out = ((struct redis *)connection)->context;
    return strcmp(type, REDIS_TYPE) == 0 ? 0 : -CONNPOOL_ERROR_UNSUPPORTED;
}

/* Without an `idle`, a parked connection is dead as soon as its descriptor is readable. */
static int32_t redis_descriptors(void *connection, int32_t *descriptors, int32_t capacity)
{
    const struct redis *redis = connection;

    if (redis->context == NULL) {
        return 0;
    }
    if (capacity > 0) {
        descriptors[0] = redis->context->fd;
    }
    return 1;
}

static const struct connpool_manager redis_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "redis",
    .version = "1.0",
    .summary = "connections to Redis",
    .options = redis_rows,
    .option_count = sizeof(redis_rows) / sizeof(redis_rows[0]),
    .option_stride = sizeof(redis_rows[0]),
    .options_size = sizeof(struct redis_options),
    .connection_size = sizeof(struct redis),
    .parse_endpoint = redis_parse,
    .open = redis_open,
    .check = redis_check,
    .prepare = redis_prepare,
    .destroy = redis_destroy,
    .native = redis_native,
    .descriptors = redis_descriptors,
};

/* ---- The program ---- */

static int count_visit(connpool_pool *pool, const char *endpoint)
{
    struct connpool_lease_info info = {.size = sizeof(info)};
    connpool_lease lease;
    connpool_error error;
    redisReply *reply;

    if (connpool_acquire(pool, endpoint, 2000, &lease, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    connpool_lease_info(&lease, &info);
    reply = redisCommand(connpool_lease_native(&lease, REDIS_TYPE), "INCR visits");
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        freeReplyObject(reply);
        connpool_discard(&lease);
        return -1;
    }
    printf("visit %lld: connection %d, use %d\n", reply->integer, (int)info.id, (int)info.uses);
    freeReplyObject(reply);
    connpool_release(&lease);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct connpool_manager *const managers[] = {&redis_manager};
    const struct connpool_options options = {
        .size = sizeof(options),
        .json = "{\"pools\": {\"cache\": {\"manager\": \"redis\", \"check_after\": 0}}}",
        .managers = managers,
        .manager_count = 1,
    };
    const char *endpoint = argc > 1 ? argv[1] : "127.0.0.1:6379";
    connpool_error error;
    connpool *context = connpool_open_with(&options, &error);
    int result = 0;

    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    for (int i = 0; result == 0 && i < 3; i++) {
        result = count_visit(connpool_pool_get(context, "cache"), endpoint);
    }
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || result != 0;
}
