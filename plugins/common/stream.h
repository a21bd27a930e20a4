/* SPDX-License-Identifier: MIT */
/*
 * stream: a connection that is one plain stream socket, for managers that speak no protocol of their own. Such a
 * manager makes struct stream its connection state, starts the dial from its own options, and puts the other functions
 * into its table as they are.
 */
#ifndef STREAM_H
#define STREAM_H

#include <connpool/manager.h>
#include <sys/types.h>

struct stream {
    struct connpool_head head;  /* first, as the ABI wants it */
    struct connpool_dial *dial; /* while it is opening, else NULL */
    int32_t fd;                 /* valid once identified */
    int32_t is_blocking;        /* what prepare made of the descriptor last; the host's dial leaves it non-blocking */
    dev_t device;               /* the socket's identity, fd is ours only while it still has it */
    ino_t inode;                /* 0: no socket yet */
};

/* A step of open: dial what options say, started on the first call; later calls do not read options. [one thread]
 * [never waits] */
int32_t stream_open(struct stream *stream, const struct connpool_dial_options *options, struct connpool_wait *wait,
                    struct connpool_fault *fault);

/* 0, or the negative of CONNPOOL_ERROR_CLOSED with the fault filled: the application closed or replaced the
 * descriptor. */
int32_t stream_check(const struct stream *stream, struct connpool_fault *fault);

/* Members of struct connpool_manager, for connections that are a struct stream; waits and threads are as told there. */
connpool_step_fn stream_prepare; /* blocking, or with FOR_LOOP non-blocking */
connpool_step_fn stream_idle;    /* whatever a parked raw socket has to read means that it is dead */
void stream_destroy(void *connection);
int32_t stream_descriptors(void *connection, int32_t *descriptors, int32_t capacity);
/* Answers "fd" and the manager's own type, by which a typed header tells that manager's connections from all others. */
int32_t stream_native(struct stream *stream, const char *own_type, const char *type, void **out);

#endif
