/* SPDX-License-Identifier: MIT */
/* tls_bio: the socket under an SSL. */
#include "tls_bio.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method; /* for ever */

static int mode_of(const struct tls_bio *state)
{
    return state->is_driven ? MSG_DONTWAIT : 0;
}

/* EINTR is for the caller to see, as with OpenSSL's own: an application may want to leave on a signal. */
static bool may_retry(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static int read_socket(BIO *bio, char *bytes, int size)
{
    struct tls_bio *state = BIO_get_data(bio);
    ssize_t length = recv(state->fd, bytes, (size_t)size, mode_of(state));

    BIO_clear_retry_flags(bio);
    state->error = length < 0 ? errno : 0;
    state->is_ended = length == 0;
    state->is_empty = length < 0 && may_retry(state->error);
    if (state->is_empty) {
        BIO_set_retry_read(bio);
    }
    return (int)length;
}

static int write_socket(BIO *bio, const char *bytes, int size)
{
    struct tls_bio *state = BIO_get_data(bio);
    ssize_t length = send(state->fd, bytes, (size_t)size, MSG_NOSIGNAL | mode_of(state));

    BIO_clear_retry_flags(bio);
    state->error = length < 0 ? errno : 0;
    state->is_cut_short = length != size;
    if (length < 0 && may_retry(state->error)) {
        BIO_set_retry_write(bio);
    }
    return (int)length;
}

static long control(BIO *bio, int command, long number, void *out)
{
    const struct tls_bio *state = BIO_get_data(bio);

    (void)number;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return state->is_ended;
    case BIO_C_GET_FD:
        if (out != NULL) {
            *(int *)out = state->fd;
        }
        return state->fd;
    default:
        return 0;
    }
}

static void make_method(void)
{
    BIO_METHOD *made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "connpool socket");

    if (made != NULL && BIO_meth_set_read(made, read_socket) == 1 && BIO_meth_set_write(made, write_socket) == 1 &&
        BIO_meth_set_ctrl(made, control) == 1) {
        method = made;
    }
}

bool tls_bio_prepare(void)
{
    (void)pthread_once(&once, make_method);
    return method != NULL;
}

BIO *tls_bio_new(struct tls_bio *state)
{
    BIO *bio = BIO_new(method);

    if (bio != NULL) {
        BIO_set_data(bio, state);
        BIO_set_init(bio, 1);
    }
    return bio;
}
