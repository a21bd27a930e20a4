/* SPDX-License-Identifier: MIT */
/* tls_sessions: what an endpoint keeps to resume sessions with. */
#include "tls_sessions.h"

#include <stdbool.h>
#include <string.h>

void tls_sessions_init(struct tls_sessions *sessions, uint32_t limit)
{
    (void)pthread_mutex_init(&sessions->lock, NULL);
    sessions->limit = limit;
}

void tls_sessions_fini(struct tls_sessions *sessions)
{
    tls_sessions_forget(sessions);
    (void)pthread_mutex_destroy(&sessions->lock);
}

/* A copy, since OpenSSL marks a connection's own session as of no more use when the connection ends without a goodbye.
 */
void tls_sessions_keep(struct tls_sessions *sessions, SSL_SESSION *session)
{
    SSL_SESSION *oldest = NULL;
    SSL_SESSION *copy = sessions->limit == 0 || !SSL_SESSION_is_resumable(session) ? NULL : SSL_SESSION_dup(session);

    if (copy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&sessions->lock);
    if (sessions->count == sessions->limit) {
        oldest = sessions->kept[0];
        sessions->count--;
        memmove(&sessions->kept[0], &sessions->kept[1], sessions->count * sizeof(SSL_SESSION *));
    }
    sessions->kept[sessions->count++] = copy;
    (void)pthread_mutex_unlock(&sessions->lock);
    SSL_SESSION_free(oldest);
}

/* A resumed handshake shows no certificate: that of the first one must still be good. */
static bool is_valid(const SSL_SESSION *session)
{
    X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);

    return peer == NULL || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

/* The newest, out of the list; NULL: there is none. */
static SSL_SESSION *take_newest(struct tls_sessions *sessions)
{
    SSL_SESSION *session = NULL;

    (void)pthread_mutex_lock(&sessions->lock);
    if (sessions->count > 0) {
        session = sessions->kept[--sessions->count];
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return session;
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions)
{
    SSL_SESSION *session;

    while ((session = take_newest(sessions)) != NULL && !is_valid(session)) {
        SSL_SESSION_free(session);
    }
    if (session != NULL && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
        tls_sessions_keep(sessions, session);
    }
    return session;
}

void tls_sessions_forget(struct tls_sessions *sessions)
{
    SSL_SESSION *session;

    while ((session = take_newest(sessions)) != NULL) {
        SSL_SESSION_free(session);
    }
}

void tls_sessions_count(struct tls_sessions *sessions, int was_resumed)
{
    (void)pthread_mutex_lock(&sessions->lock);
    sessions->resumed += was_resumed != 0;
    sessions->full += was_resumed == 0;
    (void)pthread_mutex_unlock(&sessions->lock);
}

void tls_sessions_read(struct tls_sessions *sessions, uint64_t *full, uint64_t *resumed, uint32_t *count)
{
    (void)pthread_mutex_lock(&sessions->lock);
    *full = sessions->full;
    *resumed = sessions->resumed;
    *count = sessions->count;
    (void)pthread_mutex_unlock(&sessions->lock);
}
