/* SPDX-License-Identifier: MIT */
/* interposer: a proxy in front of the subject's real server, and the endpoint that leads through it. */
#ifndef CONFORM_INTERPOSER_H
#define CONFORM_INTERPOSER_H

#include <jansson.h>

#include "conform.h"
#include "server_proxy.h"

struct interposer {
    struct server_proxy proxy;
    const struct conform_subject *subject;
};

/* Start it, forwarding all; skips the case where the subject does not say which option leads to its server. */
void interposer_start(struct interposer *interposer, const struct conform_subject *subject);
/* Its connections are reset. */
void interposer_stop(struct interposer *interposer);
/* The subject's endpoint, but through the proxy: a new reference. */
json_t *interposer_endpoint(const struct interposer *interposer);

#endif
