/* SPDX-License-Identifier: MIT */
/* server_tls: one thread with one poll; the first two entries are the control and the listener. */
#include "server_tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "certificates.h"
#include "server_peer.h"

#define BACKLOG          512
#define PATIENCE_SECONDS 5
#define FIRST_CONNECTION 2

/* ---- One connection, its lock held */

static void change(struct server_tls *server, struct server_tls_connection *connection, enum server_tls_state state)
{
    connection->state = state;
    (void)pthread_cond_broadcast(&server->changed);
}

static bool is_live(const struct server_tls_connection *connection)
{
    return connection->state == SERVER_TLS_HANDSHAKE || connection->state == SERVER_TLS_OPEN;
}

static void end(struct server_tls *server, struct server_tls_connection *connection, enum server_tls_state state)
{
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    if (state == SERVER_TLS_ENDED) {
        server_peer_reset(connection->fd);
    } else {
        (void)close(connection->fd);
    }
    change(server, connection, state);
}

static bool wants_more(const struct server_tls_connection *connection, int result)
{
    int error = SSL_get_error(connection->ssl, result);

    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void accept_handshake(struct server_tls *server, struct server_tls_connection *connection)
{
    int result = SSL_accept(connection->ssl);

    if (result == 1) {
        connection->is_resumed = SSL_session_reused(connection->ssl) != 0;
        server->resumed += connection->is_resumed;
        server->full += !connection->is_resumed;
        change(server, connection, SERVER_TLS_OPEN);
    } else if (!wants_more(connection, result)) {
        end(server, connection, SERVER_TLS_REFUSED);
    }
}

static enum server_tls_state state_after(const struct server_tls_connection *connection, int result)
{
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return SERVER_TLS_GOODBYE;
    case SSL_ERROR_SSL:
        return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? SERVER_TLS_TRUNCATED
                                                                                      : SERVER_TLS_LOST;
    default:
        return SERVER_TLS_LOST;
    }
}

static void echo(struct server_tls *server, struct server_tls_connection *connection)
{
    char bytes[512];
    int length;

    while ((length = SSL_read(connection->ssl, bytes, sizeof(bytes))) > 0) {
        if (SSL_write(connection->ssl, bytes, length) <= 0) {
            break;
        }
    }
    if (length > 0 || !wants_more(connection, length)) {
        end(server, connection, length > 0 ? SERVER_TLS_LOST : state_after(connection, length));
    }
}

static void serve(struct server_tls *server, struct server_tls_connection *connection)
{
    ERR_clear_error();
    if (connection->state == SERVER_TLS_HANDSHAKE) {
        accept_handshake(server, connection);
    }
    if (connection->state == SERVER_TLS_OPEN) {
        echo(server, connection);
    }
    ERR_clear_error();
}

static void accept_one(struct server_tls *server)
{
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct server_tls_connection *connection = &server->connections[server->accepted];
    int yes = 1;

    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* what is sent is there at once */
    *connection = (struct server_tls_connection){.ssl = SSL_new(server->context), .fd = fd};
    (void)SSL_set_fd(connection->ssl, fd);
    server->accepted++;
}

/* ---- The thread */

struct table {
    struct pollfd entries[FIRST_CONNECTION + SERVER_TLS_CONNECTIONS];
    unsigned numbers[FIRST_CONNECTION + SERVER_TLS_CONNECTIONS];
    nfds_t count;
};

static void fill(struct server_tls *server, struct table *table)
{
    table->entries[0] = (struct pollfd){.fd = server->control, .events = POLLIN};
    table->entries[1] =
        (struct pollfd){.fd = server->listener.fd, .events = server->accepted < SERVER_TLS_CONNECTIONS ? POLLIN : 0};
    table->count = FIRST_CONNECTION;
    for (unsigned i = 0; i < server->accepted && !atomic_load(&server->is_held); i++) {
        const struct server_tls_connection *connection = &server->connections[i];

        if (is_live(connection)) {
            short events = (short)(SSL_want_write(connection->ssl) ? POLLIN | POLLOUT : POLLIN);

            table->numbers[table->count] = i;
            table->entries[table->count++] = (struct pollfd){.fd = connection->fd, .events = events};
        }
    }
}

static void serve_ready(struct server_tls *server, const struct table *table)
{
    eventfd_t value;

    if (table->entries[0].revents != 0) {
        (void)eventfd_read(server->control, &value);
    }
    /* The table may be older than the hold. */
    for (nfds_t i = FIRST_CONNECTION; i < table->count && !atomic_load(&server->is_held); i++) {
        struct server_tls_connection *connection = &server->connections[table->numbers[i]];

        if (table->entries[i].revents != 0 && is_live(connection)) {
            serve(server, connection);
        }
    }
    if (table->entries[1].revents != 0) {
        accept_one(server);
    }
}

static void *run(void *argument)
{
    struct server_tls *server = argument;
    struct table table;
    sigset_t pipe_signal;

    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    while (!atomic_load(&server->is_ending)) {
        (void)pthread_mutex_lock(&server->lock);
        fill(server, &table);
        (void)pthread_mutex_unlock(&server->lock);
        (void)poll(table.entries, table.count, -1);
        (void)pthread_mutex_lock(&server->lock);
        serve_ready(server, &table);
        (void)pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static void tell(struct server_tls *server)
{
    (void)eventfd_write(server->control, 1);
}

/* ---- Its life */

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                           unsigned in_length, void *argument)
{
    const struct server_tls *server = argument;
    size_t length = strlen(server->options.protocol);

    (void)ssl;
    for (unsigned i = 0; i < in_length; i += 1u + in[i]) {
        if (in[i] == length && memcmp(in + i + 1, server->options.protocol, length) == 0) {
            *out = in + i + 1;
            *out_length = in[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_versions(SSL_CTX *context, const struct server_tls_options *options)
{
    int minimum = options->minimum_version == 0 ? TLS1_2_VERSION : options->minimum_version;

    assert_int_equal(SSL_CTX_set_min_proto_version(context, minimum), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, options->maximum_version), 1);
    if (options->has_tickets) {
        assert_int_equal(SSL_CTX_set_num_tickets(context, options->tickets), 1);
    }
    SSL_CTX_set_security_level(context, 0);
    if (options->ciphers != NULL) {
        assert_int_equal(SSL_CTX_set_cipher_list(context, options->ciphers), 1);
    }
}

static void set_client_authority(SSL_CTX *context, const struct certificates *files,
                                 const struct server_tls_options *options)
{
    char path[SERVER_PATH_SIZE];

    certificates_path(files, options->client_authority, "pem", path);
    assert_int_equal(SSL_CTX_load_verify_file(context, path), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (options->is_client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
                       NULL);
}

static SSL_CTX *new_context(struct server_tls *server, const struct server_folder *folder)
{
    static const unsigned char session_context[] = "connpool";
    const struct server_tls_options *options = &server->options;
    const char *name = options->certificate == NULL ? "server" : options->certificate;
    const struct certificates files = {.folder = folder};
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    char path[SERVER_PATH_SIZE];

    assert_non_null(context);
    set_versions(context, options);
    certificates_path(&files, name, "pem", path);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(context, path), 1);
    certificates_path(&files, name, "key", path);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1), 1);
    if (options->client_authority != NULL) {
        set_client_authority(context, &files, options);
    }
    if (options->protocol != NULL) {
        SSL_CTX_set_alpn_select_cb(context, select_protocol, server);
    }
    return context;
}

static void start_at(struct server_tls *server, uint16_t port)
{
    server_listener_open(&server->listener, "127.0.0.1", port, BACKLOG);
    server->port = server->listener.port;
    server->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(server->control >= 0);
    server->accepted = 0;
    atomic_store(&server->is_ending, false);
    atomic_store(&server->is_held, false);
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
}

void server_tls_start(struct server_tls *server, const struct server_folder *folder,
                      const struct server_tls_options *options)
{
    memset(server, 0, sizeof(*server));
    if (options != NULL) {
        server->options = *options;
    }
    server->context = new_context(server, folder);
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->changed, NULL);
    start_at(server, 0);
}

void server_tls_kill(struct server_tls *server)
{
    atomic_store(&server->is_ending, true);
    tell(server);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->control);
    for (unsigned i = 0; i < server->accepted; i++) {
        if (is_live(&server->connections[i])) {
            end(server, &server->connections[i], SERVER_TLS_ENDED);
        }
    }
    server_listener_close(&server->listener);
}

void server_tls_restart(struct server_tls *server)
{
    start_at(server, server->port);
}

void server_tls_stop(struct server_tls *server)
{
    server_tls_kill(server);
    SSL_CTX_free(server->context);
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
}

void server_tls_hold(struct server_tls *server, bool is_held)
{
    (void)pthread_mutex_lock(&server->lock); /* nothing is being read */
    atomic_store(&server->is_held, is_held);
    (void)pthread_mutex_unlock(&server->lock);
    tell(server);
}

/* ---- What it saw */

static unsigned count_of(struct server_tls *server, const unsigned *counter)
{
    unsigned count;

    (void)pthread_mutex_lock(&server->lock);
    count = *counter;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

unsigned server_tls_accepted(struct server_tls *server)
{
    return count_of(server, &server->accepted);
}

unsigned server_tls_resumed(struct server_tls *server)
{
    return count_of(server, &server->resumed);
}

unsigned server_tls_full(struct server_tls *server)
{
    return count_of(server, &server->full);
}

static bool is_awaited(const struct server_tls *server, unsigned number, bool end_is_awaited)
{
    const struct server_tls_connection *connection = &server->connections[number];

    return number >= server->accepted || connection->state == SERVER_TLS_HANDSHAKE ||
           (end_is_awaited && connection->state == SERVER_TLS_OPEN);
}

static enum server_tls_state await(struct server_tls *server, unsigned number, bool end_is_awaited)
{
    enum server_tls_state state;
    struct timespec limit;
    int error = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += PATIENCE_SECONDS;
    (void)pthread_mutex_lock(&server->lock);
    while (error == 0 && is_awaited(server, number, end_is_awaited)) {
        error = pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &limit);
    }
    state = server->connections[number].state;
    (void)pthread_mutex_unlock(&server->lock);
    assert_int_equal(error, 0);
    return state;
}

enum server_tls_state server_tls_await_open(struct server_tls *server, unsigned number)
{
    return await(server, number, false);
}

enum server_tls_state server_tls_await_end(struct server_tls *server, unsigned number)
{
    return await(server, number, true);
}

/* ---- What it does when told */

/* The open connection of that number, with the lock taken. */
static struct server_tls_connection *take(struct server_tls *server, unsigned number)
{
    assert_int_equal(server_tls_await_open(server, number), SERVER_TLS_OPEN);
    (void)pthread_mutex_lock(&server->lock);
    ERR_clear_error();
    return &server->connections[number];
}

static void give(struct server_tls *server)
{
    (void)pthread_mutex_unlock(&server->lock);
    tell(server);
}

void server_tls_send(struct server_tls *server, unsigned number, const char *text)
{
    int length = (int)strlen(text);

    assert_int_equal(SSL_write(take(server, number)->ssl, text, length), length);
    give(server);
}

void server_tls_send_ticket(struct server_tls *server, unsigned number)
{
    SSL *ssl = take(server, number)->ssl;

    assert_int_equal(SSL_new_session_ticket(ssl), 1);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    give(server);
}

void server_tls_update_keys(struct server_tls *server, unsigned number)
{
    SSL *ssl = take(server, number)->ssl;

    assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    give(server);
}

void server_tls_renegotiate(struct server_tls *server, unsigned number)
{
    SSL *ssl = take(server, number)->ssl;

    assert_int_equal(SSL_renegotiate(ssl), 1);
    (void)SSL_do_handshake(ssl);
    give(server);
}

void server_tls_say_goodbye(struct server_tls *server, unsigned number)
{
    assert_int_equal(SSL_shutdown(take(server, number)->ssl), 0);
    give(server);
}

void server_tls_truncate(struct server_tls *server, unsigned number)
{
    server_peer_half_close(take(server, number)->fd);
    give(server);
}

void server_tls_reset(struct server_tls *server, unsigned number)
{
    end(server, take(server, number), SERVER_TLS_ENDED);
    give(server);
}
