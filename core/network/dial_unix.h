/* SPDX-License-Identifier: MIT */
/* dial_unix: connects a Unix stream socket. While the server's backlog is full nothing can be waited for (failures.md
 * A4), so it is tried again by time. */
#ifndef CP_DIAL_UNIX_H
#define CP_DIAL_UNIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <connpool/manager.h>

#include "network/dial_socket.h"

struct cp_dial_unix {
    struct sockaddr_un address;
    socklen_t length;
    struct cp_dial_socket socket;
    int64_t next;  /* the next attempt */
    int64_t delay; /* after the attempt before it */
};

/* Ready for fini, whatever comes. */
void cp_dial_unix_init(struct cp_dial_unix *dial_unix);
/* An absolute path of at most 107 bytes, or '@' and an abstract name of 1 to 107 bytes. False: the fault says why. */
bool cp_dial_unix_start(struct cp_dial_unix *dial_unix, const char *path, struct connpool_fault *fault);
/* DONE: socket is connected. AGAIN with the wait filled. Else the negative of an error class; the fault names `path`.
 */
int32_t cp_dial_unix_step(struct cp_dial_unix *dial_unix, const char *path, struct connpool_wait *wait,
                          struct connpool_fault *fault);
/* May be called again. */
void cp_dial_unix_fini(struct cp_dial_unix *dial_unix);

#endif
