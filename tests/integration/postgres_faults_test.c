/* SPDX-License-Identifier: MIT */
/* A server that the test plays: silent, slow, gone, talking garbage, asking for what it must not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/resolve.h"
#include "postgres_harness.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_peer.h"

#define ACQUIRE_MS 100
#define SLACK_MS   1000 /* of a loaded machine; far below what a deadline that does not hold would take */

/* ---- The server's side ---- */

struct player;
typedef void play_fn(struct player *player, int fd);

/* One connection, played in a thread. */
struct player {
    struct server_listener listener;
    play_fn *play;
    pthread_t thread;
    sem_t is_over; /* the client has given up: the player may close */
    unsigned char heard[512];
    size_t heard_length; /* what the client sent after its first packet */
};

static void *run_player(void *argument)
{
    struct player *player = argument;
    int fd = server_listener_accept(&player->listener);

    player->play(player, fd);
    if (sem_wait(&player->is_over) == 0) {
        (void)close(fd);
    }
    return NULL;
}

static void start(struct player *player, play_fn *play)
{
    memset(player, 0, sizeof(*player));
    player->play = play;
    server_listener_open(&player->listener, "127.0.0.1", 0, 8);
    assert_int_equal(sem_init(&player->is_over, 0, 0), 0);
    assert_int_equal(pthread_create(&player->thread, NULL, run_player, player), 0);
}

static void end(struct player *player)
{
    assert_int_equal(sem_post(&player->is_over), 0);
    assert_int_equal(pthread_join(player->thread, NULL), 0);
    (void)sem_destroy(&player->is_over);
    server_listener_close(&player->listener);
}

/* The startup or SSL request. */
static void read_packet(int fd)
{
    unsigned char head[4], rest[1024];
    size_t size;

    assert_int_equal(recv(fd, head, sizeof(head), MSG_WAITALL), sizeof(head));
    size = (size_t)head[2] << 8 | head[3];
    assert_in_range(size, 8, sizeof(rest));
    assert_int_equal(recv(fd, rest, size - sizeof(head), MSG_WAITALL), size - sizeof(head));
}

static void send_bytes(int fd, const void *bytes, size_t length)
{
    (void)send(fd, bytes, length, MSG_NOSIGNAL);
}

static size_t put_message(unsigned char *to, char type, const void *payload, size_t length)
{
    to[0] = (unsigned char)type;
    to[1] = 0;
    to[2] = 0;
    to[3] = (unsigned char)((length + 4) >> 8);
    to[4] = (unsigned char)(length + 4);
    memcpy(to + 5, payload, length);
    return length + 5;
}

static void send_message(int fd, char type, const void *payload, size_t length)
{
    unsigned char message[256];

    send_bytes(fd, message, put_message(message, type, payload, length));
}

#define SEND(fd, type, literal) send_message(fd, type, literal, sizeof(literal) - 1)

/* Log the client in. */
static void log_in(int fd)
{
    read_packet(fd);
    SEND(fd, 'R', "\0\0\0\0");
    SEND(fd, 'S',
         "server_version\0"
         "15.0\0");
    SEND(fd, 'S', "client_encoding\0UTF8\0");
    SEND(fd, 'K', "\0\0\0\1\0\0\0\2");
    SEND(fd, 'Z', "I");
}

/* Hear what the client says until it gives up. */
static void hear(struct player *player, int fd)
{
    ssize_t length;

    while (player->heard_length < sizeof(player->heard) &&
           (length = recv(fd, player->heard + player->heard_length, sizeof(player->heard) - player->heard_length, 0)) >
               0) {
        player->heard_length += (size_t)length;
    }
}

/* ---- The client's side ---- */

static connpool *open_to(const struct player *player, const char *keys, const char *options)
{
    return postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', %s 'endpoints': {'main': {%s %s"
                                      "'host': '127.0.0.1', 'port': %u, 'user': 'app', 'password': {'env': '%s'}}}}}}",
                                      keys, options, strstr(options, "ssl") != NULL ? "" : "'sslmode': 'disable',",
                                      player->listener.port, POSTGRES_HARNESS_SECRET);
}

static connpool_error expect(play_fn *play, const char *options, int32_t error_class, const char *sqlstate)
{
    struct player player;
    connpool_error error;
    connpool *context;
    unsigned sockets = harness_sockets();

    start(&player, play);
    context = open_to(&player, "", options);
    error = postgres_harness_acquire_fails(context, error_class, sqlstate);
    end(&player);
    harness_close(context);
    assert_int_equal(harness_sockets(), sockets);
    return error;
}

/* ---- Silence ---- */

static void stay_silent(struct player *player, int fd)
{
    (void)player;
    (void)fd;
}

static void stay_silent_after_hello(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
}

static void stay_silent_about_tls(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "S", 1);
}

static void stay_silent_in_a_message(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "R\0\0", 3);
}

/* Byte by byte, each in a time of the client's, who must not wait for a new one each time. */
static void trickle(struct player *player, int fd)
{
    static const char message[] = "R\0\0\0\x08\0\0\0\0S\0\0\1\0server_version";
    struct timespec wait;

    read_packet(fd);
    for (size_t i = 0; i < sizeof(message); i++) {
        send_bytes(fd, message + i, 1);
        assert_int_equal(clock_gettime(CLOCK_REALTIME, &wait), 0);
        wait.tv_nsec += 10000000;
        wait.tv_sec += wait.tv_nsec / 1000000000;
        wait.tv_nsec %= 1000000000;
        if (sem_timedwait(&player->is_over, &wait) == 0) {
            assert_int_equal(sem_post(&player->is_over), 0);
            return;
        }
    }
}

/* A6, A9, D39, D41: the acquire's limit, and the open's own. */
static void a_silent_or_slow_server_costs_the_limit(void **state)
{
    static play_fn *const plays[] = {stay_silent, stay_silent_after_hello, stay_silent_about_tls,
                                     stay_silent_in_a_message, trickle};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(plays) / sizeof(plays[0]); i++) {
        int64_t began = harness_now_ms();
        struct player player;
        connpool *context;

        start(&player, plays[i / 2]);
        context = open_to(&player, i % 2 == 0 ? "" : "'connect_timeout': 0.1,",
                          plays[i / 2] == stay_silent_about_tls ? "'sslmode': 'require'," : "");
        if (i % 2 == 0) {
            (void)harness_acquire_fails(harness_pool(context), "main", ACQUIRE_MS, CONNPOOL_TIMED_OUT);
        } else {
            (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_TIMEOUT, "");
        }
        assert_in_range(harness_now_ms() - began, ACQUIRE_MS - 10, ACQUIRE_MS + SLACK_MS);
        end(&player);
        harness_close(context);
    }
}

/* ---- An end ---- */

static void finish(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    server_peer_half_close(fd);
}

static void finish_at_once(struct player *player, int fd)
{
    (void)player;
    server_peer_half_close(fd);
}

/* The descriptor stays the player's to close. */
static void reset(struct player *player, int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int twin = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)player;
    read_packet(fd);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    assert_true(twin >= 0);
    assert_int_equal(dup2(twin, fd), fd);
    (void)close(twin);
}

static void finish_during_tls(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "S", 1);
    server_peer_half_close(fd);
}

/* A7, A8. */
static void a_server_that_ends_is_closed(void **state)
{
    (void)state;
    (void)expect(finish_at_once, "", CONNPOOL_ERROR_CLOSED, "");
    (void)expect(finish, "", CONNPOOL_ERROR_CLOSED, "");
    (void)expect(reset, "", CONNPOOL_ERROR_CLOSED, "");
    (void)expect(finish, "'sslmode': 'require',", CONNPOOL_ERROR_CLOSED, "");
    (void)expect(finish_during_tls, "'sslmode': 'require',", CONNPOOL_ERROR_CLOSED, "");
}

/* ---- Garbage ---- */

static void speak_http(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    server_peer_send(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void send_negative_length(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "R\xff\xff\xff\xff\0\0\0\0", 9);
}

static void send_huge_length(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "R\x7f\xff\xff\xff\0\0\0\0", 9);
}

static void send_short_length(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "R\0\0\0\1\0\0\0\0", 9);
}

static void send_unknown_request(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    SEND(fd, 'R', "\0\0\1\1");
}

static void send_garbage_for_tls(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "Sno TLS at all, only text", 25);
}

static void answer_with_x(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "X", 1);
}

static void garbage_is_a_protocol_error(void **state)
{
    static play_fn *const plays[] = {speak_http, send_negative_length, send_huge_length, send_short_length,
                                     send_unknown_request};

    (void)state;
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        (void)expect(plays[i], "", CONNPOOL_ERROR_PROTOCOL, "");
    }
    (void)expect(answer_with_x, "'sslmode': 'require',", CONNPOOL_ERROR_PROTOCOL, "");
}

/* A19: what comes in clear text behind the answer to the request for TLS. */
static void nothing_is_taken_in_clear_text_where_tls_begins(void **state)
{
    (void)state;
    (void)expect(send_garbage_for_tls, "'sslmode': 'require',", CONNPOOL_ERROR_TRUST, "");
}

/* ---- Refusals ---- */

static const char *refusal_state;

static void refuse(struct player *player, int fd)
{
    unsigned char payload[128];
    size_t length = 0;

    (void)player;
    read_packet(fd);
    memcpy(payload, "SFATAL\0VFATAL\0", 14);
    length = 14;
    if (refusal_state[0] != '\0') {
        payload[length++] = 'C';
        memcpy(payload + length, refusal_state, 6);
        length += 6;
    }
    memcpy(payload + length, "Mno: 42501 is no state of this\0\0", 32);
    send_message(fd, 'E', payload, length + 32);
    server_peer_half_close(fd);
}

/* A25, A26, A31; an error without SQLSTATE too. */
static void a_refusal_has_its_class(void **state)
{
    static const struct {
        const char *sqlstate;
        int32_t error_class;
    } refusals[] = {
        {"53300", CONNPOOL_ERROR_RESOURCE_REMOTE}, {"57P01", CONNPOOL_ERROR_TRANSIENT},
        {"57P02", CONNPOOL_ERROR_TRANSIENT},       {"57P03", CONNPOOL_ERROR_TRANSIENT},
        {"28000", CONNPOOL_ERROR_AUTHENTICATION},  {"28P01", CONNPOOL_ERROR_AUTHENTICATION},
        {"3D000", CONNPOOL_ERROR_CONFIGURATION},   {"08P01", CONNPOOL_ERROR_PROTOCOL},
        {"XX000", CONNPOOL_ERROR_TRANSIENT},       {"", CONNPOOL_ERROR_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        refusal_state = refusals[i].sqlstate;
        /* 11 is waited out where there is hope, else it is the answer. */
        (void)expect(refuse, "", refusals[i].error_class, refusals[i].sqlstate);
    }
}

static void refuse_tls(struct player *player, int fd)
{
    (void)player;
    read_packet(fd);
    send_bytes(fd, "N", 1);
}

/* A32. */
static void a_server_that_refuses_tls_is_not_trusted(void **state)
{
    (void)state;
    (void)expect(refuse_tls, "'sslmode': 'require',", CONNPOOL_ERROR_TRUST, "");
    (void)expect(refuse_tls, "'sslmode': 'verify-full', 'sslrootcert': '/dev/null',", CONNPOOL_ERROR_TRUST, "");
}

/* ---- A31: the password ---- */

static struct player *listening;

static void ask_cleartext(struct player *player, int fd)
{
    listening = player;
    read_packet(fd);
    SEND(fd, 'R', "\0\0\0\3");
    hear(player, fd);
}

/* Behind another request, in one segment. */
static void ask_cleartext_second(struct player *player, int fd)
{
    unsigned char messages[64];
    size_t length;

    read_packet(fd);
    length = put_message(messages, 'R', "\0\0\0\12SCRAM-SHA-256\0\0", 19);
    length += put_message(messages + length, 'R', "\0\0\0\3", 4);
    send_bytes(fd, messages, length);
    hear(player, fd);
}

/* In two pieces. */
static void ask_cleartext_slowly(struct player *player, int fd)
{
    read_packet(fd);
    send_bytes(fd, "R\0\0\0\x08\0\0", 7);
    server_peer_option(fd, SOL_SOCKET, SO_ERROR);
    send_bytes(fd, "\0\3", 2);
    hear(player, fd);
}

static void the_password_is_not_told_in_clear_text(void **state)
{
    static play_fn *const plays[] = {ask_cleartext, ask_cleartext_second, ask_cleartext_slowly};

    (void)state;
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        struct player player;
        connpool *context;

        start(&player, plays[i]);
        context = open_to(&player, "", "");
        (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_TRUST, "");
        end(&player);
        harness_close(context);
        assert_null(
            memmem(player.heard, player.heard_length, SERVER_POSTGRES_PASSWORD, strlen(SERVER_POSTGRES_PASSWORD)));
    }
}

static void ask_and_refuse(struct player *player, int fd)
{
    read_packet(fd);
    SEND(fd, 'R', "\0\0\0\3");
    player->heard_length = (size_t)recv(fd, player->heard, 5 + strlen(SERVER_POSTGRES_PASSWORD) + 1, MSG_WAITALL);
    SEND(fd, 'E', "SFATAL\0VFATAL\0C28P01\0Mno\0\0");
}

static void the_password_is_told_where_that_is_configured(void **state)
{
    struct player player;
    connpool *context;

    (void)state;
    start(&player, ask_and_refuse);
    context = open_to(&player, "", "'cleartext_password': true,");
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_AUTHENTICATION, "28P01");
    end(&player);
    harness_close(context);
    assert_non_null(
        memmem(player.heard, player.heard_length, SERVER_POSTGRES_PASSWORD, strlen(SERVER_POSTGRES_PASSWORD)));
}

/* ---- Parked ---- */

static sem_t is_parked, is_sent;
static const char *idle_message;
static size_t idle_length;
static bool idle_ends;

static void send_while_parked(struct player *player, int fd)
{
    (void)player;
    log_in(fd);
    assert_int_equal(sem_wait(&is_parked), 0);
    send_bytes(fd, idle_message, idle_length);
    if (idle_ends) {
        server_peer_half_close(fd);
    }
    assert_int_equal(sem_post(&is_sent), 0);
    /* The connection that replaces it. */
    fd = server_listener_accept(&player->listener);
    log_in(fd);
    assert_int_equal(sem_wait(&player->is_over), 0);
    (void)close(fd);
    assert_int_equal(sem_post(&player->is_over), 0);
}

static connpool_error dead_error;

static void keep_error(void *argument, const struct connpool_event *event)
{
    (void)argument;
    dead_error = *event->error;
}

/* A20, D44: an answer that nobody asked for. */
static void what_has_no_place_on_a_parked_session_ends_it(void **state)
{
    static const struct {
        const char *message;
        size_t length;
        int32_t error_class;
        bool ends; /* the server closes behind it */
    } messages[] = {
        {"C\0\0\0\x0dSELECT 1\0", 14, CONNPOOL_ERROR_PROTOCOL, false},
        {"D\0\0\0\x06\0\0", 7, CONNPOOL_ERROR_PROTOCOL, false},
        {"E\0\0\0\x1fSFATAL\0VFATAL\0C57P01\0Mbye\0\0", 32, CONNPOOL_ERROR_CLOSED, false},
        {"N\0\0\0\x22SWARNING\0VWARNING\0C01000\0Mon\0\0", 35, CONNPOOL_ERROR_CLOSED, true},
        {"", 0, CONNPOOL_ERROR_CLOSED, true},
    };

    (void)state;
    assert_int_equal(sem_init(&is_parked, 0, 0), 0);
    assert_int_equal(sem_init(&is_sent, 0, 0), 0);
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct connpool_observer observer = {.size = sizeof(observer), .dead = keep_error};
        connpool_lease lease;
        struct player player;
        connpool *context;
        int fd;

        idle_message = messages[i].message;
        idle_length = messages[i].length;
        idle_ends = messages[i].ends;
        start(&player, send_while_parked);
        context = open_to(&player, "", "");
        assert_int_equal(connpool_pool_observe(harness_pool(context), &observer), CONNPOOL_OK);
        lease = harness_acquire(harness_pool(context), "main");
        fd = PQsocket(connpool_postgres(&lease));
        harness_release(&lease);
        assert_int_equal(sem_post(&is_parked), 0);
        assert_int_equal(sem_wait(&is_sent), 0);
        server_peer_await(fd);
        lease = harness_acquire(harness_pool(context), "main");
        assert_int_equal(harness_info(&lease).is_new, 1);
        assert_int_equal(dead_error.error_class, messages[i].error_class);
        harness_discard(&lease);
        end(&player);
        harness_close(context);
    }
}

static void log_in_and_stay_silent(struct player *player, int fd)
{
    (void)player;
    log_in(fd);
}

/* A12, D41: a check that is not answered ends by its limit, and a goodbye waits for nobody. */
static void a_silent_check_costs_its_limit(void **state)
{
    int64_t began = harness_now_ms();
    connpool_lease lease;
    struct player player;
    connpool *context;

    (void)state;
    start(&player, log_in_and_stay_silent);
    context = open_to(&player, "'check_after': 0, 'check_timeout': 0.05, 'connect_timeout': 0.05,", "");
    lease = harness_acquire(harness_pool(context), "main");
    harness_release(&lease);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_TIMEOUT, ""); /* the player accepts but one */
    assert_int_equal(harness_statistics(harness_pool(context)).ended[CONNPOOL_REASON_DEAD], 1);
    assert_in_range(harness_now_ms() - began, ACQUIRE_MS - 10, ACQUIRE_MS + SLACK_MS);
    end(&player);
    harness_close(context);
}

static void log_in_and_hear(struct player *player, int fd)
{
    log_in(fd);
    hear(player, fd);
}

/* What is discarded ends without a word, what is closed in peace says Terminate; neither waits. */
static void a_goodbye_is_said_in_peace_only(void **state)
{
    (void)state;
    for (int in_peace = 0; in_peace <= 1; in_peace++) {
        connpool_lease lease;
        struct player player;
        connpool *context;

        start(&player, log_in_and_hear);
        context = open_to(&player, "", "");
        lease = harness_acquire(harness_pool(context), "main");
        if (in_peace) {
            harness_release(&lease);
        } else {
            harness_discard(&lease);
        }
        harness_close(context);
        end(&player);
        assert_int_equal(player.heard_length, in_peace ? 5 : 0);
        assert_int_equal(player.heard[0], in_peace ? 'X' : 0);
    }
}

/* ---- Names, Unix sockets ---- */

static sem_t may_answer;

static int never_answer(const char *node, const char *port, const struct addrinfo *hints, struct addrinfo **result)
{
    (void)node;
    (void)port;
    (void)hints;
    (void)result;
    assert_int_equal(sem_wait(&may_answer), 0);
    return EAI_AGAIN;
}

/* A23: no thread of the application looks up a name. */
static void a_dead_resolver_costs_the_limit(void **state)
{
    int64_t began = harness_now_ms();
    connpool *context;

    (void)state;
    assert_int_equal(sem_init(&may_answer, 0, 0), 0);
    cp_resolve_getaddrinfo = never_answer;
    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': 'db.example.org', 'user': 'app', 'sslmode': 'disable'}}}}}");
    (void)harness_acquire_fails(harness_pool(context), "main", ACQUIRE_MS, CONNPOOL_TIMED_OUT);
    assert_in_range(harness_now_ms() - began, ACQUIRE_MS - 10, ACQUIRE_MS + SLACK_MS);
    assert_int_equal(sem_post(&may_answer), 0);
    harness_close(context);
    cp_resolve_getaddrinfo = getaddrinfo;
}

/* A23: names that are not there are left out while another host is. */
static int answer_no(const char *node, const char *port, const struct addrinfo *hints, struct addrinfo **result)
{
    (void)node;
    (void)port;
    (void)hints;
    (void)result;
    return EAI_NONAME;
}

static void a_name_that_is_not_there_is_left_out(void **state)
{
    connpool_lease lease;
    struct player player;
    connpool *context;

    (void)state;
    cp_resolve_getaddrinfo = answer_no;
    start(&player, log_in_and_stay_silent);
    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': 'db.example.org,127.0.0.1', 'port': %u, 'user': 'app',"
                                         "'sslmode': 'disable'}}}}}",
                                         player.listener.port);
    lease = harness_acquire(harness_pool(context), "main");
    assert_string_equal(PQhost(connpool_postgres(&lease)), "127.0.0.1");
    harness_discard(&lease);
    end(&player);
    harness_close(context);
    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': 'db.example.org', 'user': 'app', 'sslmode': 'disable'}}}}}");
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_UNREACHABLE, "");
    harness_close(context);
    cp_resolve_getaddrinfo = getaddrinfo;
}

/* A4: the queue of a Unix socket is full, which libpq takes for a connection. */
static void a_full_unix_socket_is_tried_again(void **state)
{
    struct server_folder folder;
    char path[SERVER_PATH_SIZE];
    struct player player;
    connpool_lease lease;
    connpool *context;
    int fillers[64];
    size_t count;

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, ".s.PGSQL.5432", path);
    memset(&player, 0, sizeof(player));
    player.play = log_in_and_stay_silent;
    assert_int_equal(sem_init(&player.is_over, 0, 0), 0);
    server_listener_open_unix(&player.listener, path, 0);
    count = server_listener_fill(&player.listener, fillers, 64);
    context = postgres_harness_open_json(
        "{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {'host': '%s', 'user': 'app'}}}}}",
        folder.path);
    (void)harness_acquire_fails(harness_pool(context), "main", ACQUIRE_MS, CONNPOOL_TIMED_OUT);
    /* Room again: the next one succeeds at its second attempt or so. */
    for (size_t i = 0; i < count; i++) {
        (void)close(fillers[i]);
    }
    while (server_listener_has_pending(&player.listener)) {
        (void)close(server_listener_accept(&player.listener));
    }
    assert_int_equal(pthread_create(&player.thread, NULL, run_player, &player), 0);
    lease = harness_acquire(harness_pool(context), "main");
    harness_discard(&lease);
    end(&player);
    harness_close(context);
    server_folder_fini(&folder);
}

static int prepare(void **state)
{
    (void)state;
    postgres_harness_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_or_slow_server_costs_the_limit),
        cmocka_unit_test(a_server_that_ends_is_closed),
        cmocka_unit_test(garbage_is_a_protocol_error),
        cmocka_unit_test(nothing_is_taken_in_clear_text_where_tls_begins),
        cmocka_unit_test(a_refusal_has_its_class),
        cmocka_unit_test(a_server_that_refuses_tls_is_not_trusted),
        cmocka_unit_test(the_password_is_not_told_in_clear_text),
        cmocka_unit_test(the_password_is_told_where_that_is_configured),
        cmocka_unit_test(what_has_no_place_on_a_parked_session_ends_it),
        cmocka_unit_test(a_silent_check_costs_its_limit),
        cmocka_unit_test(a_goodbye_is_said_in_peace_only),
        cmocka_unit_test(a_dead_resolver_costs_the_limit),
        cmocka_unit_test(a_name_that_is_not_there_is_left_out),
        cmocka_unit_test(a_full_unix_socket_is_tried_again),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
