/* SPDX-License-Identifier: MIT */
/*
 * server_echo: a server in a thread of the test that sends back every byte it gets; it can be made to hold its answers
 * back, and killed and started again at the same port.
 */
#ifndef SERVER_ECHO_H
#define SERVER_ECHO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server_listener.h"

struct server_echo {
    struct server_listener listener;
    pthread_t thread;
    int control;           /* eventfd: look at the members below again */
    atomic_bool is_held;   /* answers wait until it is false again */
    atomic_bool is_ending; /* end the thread */
    atomic_uint accepted;  /* connections so far */
    uint16_t port;
};

/* Start it at a free port of 127.0.0.1. */
void server_echo_start(struct server_echo *echo);
/* End it: the port is closed, every connection reset. */
void server_echo_kill(struct server_echo *echo);
/* Start it again at the same port. */
void server_echo_restart(struct server_echo *echo);
/* Hold all answers back, or let them go. */
void server_echo_hold(struct server_echo *echo, bool is_held);

#endif
