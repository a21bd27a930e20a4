/* SPDX-License-Identifier: MIT */
/* events: CONNPOOL_EVENT_… in the words of poll(2) and epoll(7), whose bits are the same. */
#ifndef CP_EVENTS_H
#define CP_EVENTS_H

#include <connpool/manager.h>
#include <poll.h>
#include <sys/epoll.h>

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP,
               "the kernel maps one to the other (fs/eventpoll.c)");

static inline short cp_events_to_poll(uint32_t events)
{
    return (short)(((events & CONNPOOL_EVENT_READ) ? POLLIN : 0) | ((events & CONNPOOL_EVENT_WRITE) ? POLLOUT : 0));
}

/* What became ready. An error or hang-up counts as all that was asked for too, so that the next call reports it. */
static inline uint32_t cp_events_from_poll(short happened, uint32_t asked)
{
    uint32_t ready = 0;

    if (happened & POLLIN) {
        ready |= CONNPOOL_EVENT_READ;
    }
    if (happened & POLLOUT) {
        ready |= CONNPOOL_EVENT_WRITE;
    }
    if (happened & (POLLERR | POLLHUP | POLLNVAL)) {
        ready |= CONNPOOL_EVENT_HANGUP | (asked & (CONNPOOL_EVENT_READ | CONNPOOL_EVENT_WRITE));
    }
    return ready;
}

#endif
