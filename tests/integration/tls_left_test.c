/* SPDX-License-Identifier: MIT */
/* What a TLS connection or a session can be left with: a part of a record, a goodbye that does not fit, a session that
 * the server cannot bear any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tls.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "certificates.h"
#include "harness.h"
#include "server_folder.h"
#include "server_peer.h"
#include "server_tls.h"
#include "virtual_clock.h"

#define RECORD_HEAD   5
#define GOODBYE_SIZE  24 /* of TLS 1.3: head, two bytes, the true type, a tag of 16 */
#define RECORD_LIMIT  SECONDS(1)
#define ROUNDS        4
#define FILL_SIZE     4096
#define SMALL_BUFFERS 4096
#define SETTLE_MS     20

static const struct server_tls_options no_tickets = {.has_tickets = true};
static struct server_folder folder;
static struct certificates certificates;
static struct server_tls server;
static struct virtual_clock now;
static connpool *context;
static connpool_pool *pool;

static int begin(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_folder_fini(&folder);
    return 0;
}

/* A server, and a pool for one connection to it, whose time stands still. */
static void start(const struct server_tls_options *options, const char *keys)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[512];
    struct connpool_clock clock;
    struct connpool_options how = {.size = sizeof(how), .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER, .json = json};
    connpool_error error = {.text = ""};

    server_tls_start(&server, &folder, options);
    (void)snprintf(json, sizeof(json),
                   "{\"pools\": {\"p\": {\"manager\": \"tls\", \"max_size\": 1, \"check_after\": 1000%s,"
                   " \"options\": {\"ca_file\": \"%s/ca.pem\"},"
                   " \"endpoints\": {\"s\": {\"host\": \"localhost\", \"port\": %u}}}}}",
                   keys, folder.path, server.port);
    virtual_clock_init(&now);
    now.is_manual = true;
    clock = virtual_clock_table(&now);
    how.clock = &clock;
    how.plugin_path = folders;
    context = connpool_open_with(&how, &error);
    if (context == NULL) {
        fail_msg("open: %s", error.text);
    }
    now.context = context;
    pool = harness_pool(context);
}

static void stop(void)
{
    harness_close(context);
    server_tls_stop(&server);
}

/* ---- A part of a record */

/* One more ticket of the server's, as it would be sent; its length. */
static size_t make_ticket(unsigned char *bytes, size_t size)
{
    struct server_tls_connection *connection = &server.connections[0];
    BIO *memory = BIO_new(BIO_s_mem());
    int length;

    assert_int_equal(server_tls_await_open(&server, 0), SERVER_TLS_OPEN);
    (void)pthread_mutex_lock(&server.lock);
    assert_int_equal(BIO_up_ref(memory), 1);
    SSL_set0_wbio(connection->ssl, memory);
    assert_int_equal(SSL_new_session_ticket(connection->ssl), 1);
    assert_int_equal(SSL_do_handshake(connection->ssl), 1);
    SSL_set0_wbio(connection->ssl, BIO_new_socket(connection->fd, BIO_NOCLOSE));
    (void)pthread_mutex_unlock(&server.lock);
    length = BIO_read(memory, bytes, (int)size);
    BIO_free(memory);
    assert_true(length > RECORD_HEAD + 2);
    return (size_t)length;
}

/* Send as the server, and wait until it has arrived. */
static void send_bytes(int client, const unsigned char *bytes, size_t length)
{
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;
    int arrived = 0;

    assert_int_equal(send(server.connections[0].fd, bytes, length, MSG_NOSIGNAL), length);
    while ((size_t)arrived < length && harness_now_ms() < limit) {
        assert_int_equal(ioctl(client, FIONREAD, &arrived), 0);
        (void)sched_yield();
    }
    assert_int_equal(arrived, length);
}

/* With no time to wait: 1, the connection was given, 0: it was not. */
static int is_given(void)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status = connpool_acquire(pool, "s", 0, &lease, NULL);

    if (status == CONNPOOL_OK) {
        harness_release(&lease);
    }
    return status == CONNPOOL_OK;
}

/* Its socket. */
static int park_one(void)
{
    connpool_lease lease = harness_acquire(pool, "s");
    int fd = SSL_get_fd(connpool_tls(&lease));

    harness_release(&lease);
    return fd;
}

/* A14, A20: it may be a ticket, and it may be the answer that the last holder did not wait for. */
static void half_a_record_is_nobodys(void **state)
{
    static const size_t parts[ROUNDS] = {1, RECORD_HEAD - 1, RECORD_HEAD, RECORD_HEAD + 1};
    unsigned char bytes[4096];
    int client;

    (void)state;
    start(&no_tickets, "");
    client = park_one();
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t length = make_ticket(bytes, sizeof(bytes));

        send_bytes(client, bytes, parts[i]);
        assert_int_equal(is_given(), 0);
        assert_int_equal(is_given(), 0);
        send_bytes(client, bytes + parts[i], length - parts[i]);
        assert_int_equal(is_given(), 1);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    stop();
}

/* A9 */
static void a_record_that_is_never_whole_is_not_waited_for(void **state)
{
    static const unsigned char head[] = {0x17, 0x03, 0x03, 0x01, 0x00, 0x2A};
    int client;

    (void)state;
    start(&no_tickets, "");
    client = park_one();
    assert_int_equal(server_tls_await_open(&server, 0), SERVER_TLS_OPEN);
    send_bytes(client, head, sizeof(head));
    assert_int_equal(is_given(), 0);
    virtual_clock_advance(&now, RECORD_LIMIT - 1);
    assert_int_equal(is_given(), 0);
    virtual_clock_advance(&now, 1);
    (void)park_one();
    assert_int_equal(harness_statistics(pool).opened, 2);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    stop();
}

/* ---- A goodbye that does not fit */

struct reader {
    pthread_t thread;
    sem_t has_begun; /* the client has tried to say goodbye */
    int fd;
    size_t total;
    unsigned char last[GOODBYE_SIZE];
};

/* Read all there is to the end, once the client has begun to say goodbye. */
static void *read_all(void *argument)
{
    struct reader *reader = argument;
    unsigned char bytes[FILL_SIZE + GOODBYE_SIZE];
    size_t have = 0;

    assert_int_equal(sem_wait(&reader->has_begun), 0);
    for (;;) {
        ssize_t length;

        server_peer_await(reader->fd);
        length = recv(reader->fd, bytes + have, sizeof(bytes) - have, 0);
        if (length <= 0) {
            break;
        }
        reader->total += (size_t)length;
        have += (size_t)length;
        if (have > GOODBYE_SIZE) {
            memmove(bytes, bytes + have - GOODBYE_SIZE, GOODBYE_SIZE);
            have = GOODBYE_SIZE;
        }
    }
    memcpy(reader->last, bytes, GOODBYE_SIZE);
    return NULL;
}

/* The first write to the client's socket has come to its end. */
static long tell_write(BIO *bio, int what, const char *bytes, size_t length, int number, long other, int result,
                       size_t *processed)
{
    struct reader *reader = (struct reader *)BIO_get_callback_arg(bio);

    (void)bytes;
    (void)length;
    (void)number;
    (void)other;
    (void)processed;
    if (what == (BIO_CB_WRITE | BIO_CB_RETURN)) {
        BIO_set_callback_ex(bio, NULL);
        (void)sem_post(&reader->has_begun);
    }
    return result;
}

static size_t fill_once(int fd)
{
    static const unsigned char bytes[FILL_SIZE] = {0};
    size_t total = 0;
    ssize_t length;

    while ((length = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
        total += (size_t)length;
    }
    return total;
}

/* Fill the socket with what is no TLS, until no byte fits and none moves on to the peer; how many did. */
static size_t fill(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    size_t total = 0;
    size_t more;

    while ((more = fill_once(fd)) > 0) {
        total += more;
        (void)poll(&polled, 1, SETTLE_MS);
    }
    return total;
}

/* D47: close_notify arrives although the peer reads late. */
static void a_goodbye_waits_for_room(void **state)
{
    static const unsigned char head[RECORD_HEAD] = {0x17, 0x03, 0x03, 0x00, GOODBYE_SIZE - RECORD_HEAD};
    struct reader reader = {.total = 0};
    const int small = SMALL_BUFFERS;
    connpool_lease lease;
    size_t filled;
    int fd;

    (void)state;
    start(&no_tickets, ", \"max_uses\": 1");
    lease = harness_acquire(pool, "s");
    assert_int_equal(server_tls_await_open(&server, 0), SERVER_TLS_OPEN);
    server_tls_hold(&server, true);
    reader.fd = server.connections[0].fd;
    assert_int_equal(sem_init(&reader.has_begun, 0, 0), 0);
    fd = SSL_get_fd(connpool_tls(&lease));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    filled = fill(fd);
    BIO_set_callback_ex(SSL_get_wbio(connpool_tls(&lease)), tell_write);
    BIO_set_callback_arg(SSL_get_wbio(connpool_tls(&lease)), (char *)&reader);
    assert_int_equal(pthread_create(&reader.thread, NULL, read_all, &reader), 0);
    harness_release(&lease);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.total, filled + GOODBYE_SIZE);
    assert_memory_equal(reader.last, head, RECORD_HEAD);
    (void)sem_destroy(&reader.has_begun);
    stop();
}

/* ---- A session that the server cannot bear any more */

/* One of TLS 1.2 made with the extended master secret is fatal to a server that has lost it (RFC 7627, 5.3). */
static void a_session_that_spoils_a_handshake_is_tried_once(void **state)
{
    static const struct server_tls_options old = {.maximum_version = TLS1_2_VERSION};

    (void)state;
    start(&old, ", \"max_uses\": 1");
    (void)park_one();
    (void)park_one();
    (void)server_tls_await_end(&server, 1);
    assert_int_equal(server_tls_resumed(&server), 1);
    server_tls_kill(&server);
    (void)SSL_CTX_set_options(server.context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    server_tls_restart(&server);
    (void)harness_acquire_fails(pool, "s", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    (void)park_one();
    (void)server_tls_await_end(&server, 1);
    assert_int_equal(server_tls_full(&server), 2);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_a_record_is_nobodys),
        cmocka_unit_test(a_record_that_is_never_whole_is_not_waited_for),
        cmocka_unit_test(a_goodbye_waits_for_room),
        cmocka_unit_test(a_session_that_spoils_a_handshake_is_tried_once),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
