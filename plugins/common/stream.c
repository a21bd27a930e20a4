/* SPDX-License-Identifier: MIT */
/* stream: the life of a plain stream socket: dialled, watched while it is parked, closed once. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

/* An application may close the descriptor that it borrowed; its number is then free for any other file of the process,
 * which must be neither read nor closed here. */
static bool is_ours(const struct stream *stream)
{
    struct stat status;

    return stream->inode != 0 && fstat(stream->fd, &status) == 0 && status.st_dev == stream->device &&
           status.st_ino == stream->inode;
}

static int32_t identify(struct stream *stream, struct connpool_fault *fault)
{
    struct stat status;
    int error;

    if (fstat(stream->fd, &status) != 0) {
        error = errno;
        (void)close(stream->fd);
        return fault_fill(fault, CONNPOOL_ERROR_INTERNAL, error, "the new socket cannot be identified: %s",
                          strerror(error));
    }
    stream->device = status.st_dev;
    stream->inode = status.st_ino;
    return CONNPOOL_STEP_DONE;
}

int32_t stream_open(struct stream *stream, const struct connpool_dial_options *options, struct connpool_wait *wait,
                    struct connpool_fault *fault)
{
    const struct connpool_host *host = stream->head.host;
    int32_t result;

    if (stream->dial == NULL) {
        stream->dial = host->dial_start(host, options, fault);
        if (stream->dial == NULL) {
            return -fault->error_class;
        }
    }
    result = host->dial_step(stream->dial, wait, fault);
    if (result != CONNPOOL_STEP_DONE) {
        return result;
    }
    stream->fd = host->dial_take(stream->dial);
    host->dial_stop(stream->dial);
    stream->dial = NULL;
    return identify(stream, fault);
}

int32_t stream_prepare(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct stream *stream = connection;
    int32_t is_blocking = (wait->flags & CONNPOOL_WAIT_FOR_LOOP) == 0;
    int flags;

    if (is_blocking == stream->is_blocking) {
        return CONNPOOL_STEP_DONE;
    }
    flags = fcntl(stream->fd, F_GETFL);
    if (flags < 0 || fcntl(stream->fd, F_SETFL, is_blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, errno, "the socket cannot be made %sblocking: %s",
                          is_blocking ? "" : "non-", strerror(errno));
    }
    stream->is_blocking = is_blocking;
    return CONNPOOL_STEP_DONE;
}

/* What became ready on a parked connection: nobody asked for anything, so any input belongs to an exchange that is
 * over. */
static int32_t verdict(const struct stream *stream, struct connpool_fault *fault)
{
    char byte;
    ssize_t length = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (length > 0) {
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0, "the peer sent data on an idle connection");
    }
    if (length == 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "the peer closed the idle connection");
    }
    if (errno == EAGAIN || errno == EINTR) {
        return CONNPOOL_STEP_AGAIN;
    }
    return fault_fill(fault, CONNPOOL_ERROR_CLOSED, errno, "the idle connection was lost: %s", strerror(errno));
}

int32_t stream_check(const struct stream *stream, struct connpool_fault *fault)
{
    if (is_ours(stream)) {
        return 0;
    }
    return fault_fill(fault, CONNPOOL_ERROR_CLOSED, EBADF,
                      "the application closed or replaced descriptor %d of the connection", stream->fd);
}

int32_t stream_idle(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct stream *stream = connection;
    int32_t result = stream_check(stream, fault);

    if (result != 0) {
        return result;
    }
    if (wait->ready != 0 && verdict(stream, fault) != CONNPOOL_STEP_AGAIN) {
        return -fault->error_class;
    }
    wait->fd = stream->fd;
    wait->events = CONNPOOL_EVENT_READ;
    return CONNPOOL_STEP_AGAIN;
}

void stream_destroy(void *connection)
{
    struct stream *stream = connection;

    stream->head.host->dial_stop(stream->dial);
    if (is_ours(stream)) {
        (void)close(stream->fd);
    }
}

int32_t stream_native(struct stream *stream, const char *own_type, const char *type, void **out)
{
    if (stream->inode == 0 || (strcmp(type, "fd") != 0 && strcmp(type, own_type) != 0)) {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    *out = &stream->fd;
    return 0;
}

int32_t stream_descriptors(void *connection, int32_t *descriptors, int32_t capacity)
{
    const struct stream *stream = connection;

    if (stream->inode == 0) {
        return 0;
    }
    if (capacity > 0) {
        descriptors[0] = stream->fd;
    }
    return 1;
}
