/* SPDX-License-Identifier: MIT */
/*
 * peer: what stands where a subject's server should, and behaves badly. It speaks no protocol. It ends
 * with the case. Open it before anything that has threads.
 */
#ifndef CONFORM_PEER_H
#define CONFORM_PEER_H

#include <jansson.h>

#include "conform.h"

enum peer_kind {
    PEER_REFUSES, /* nobody listens there */
    PEER_SILENT,  /* connects, and never says a word */
    PEER_FULL,    /* does not even answer the connect */
    PEER_ENDS,    /* accepts and says at once that no more will come */
    PEER_RESETS,  /* accepts and resets at once */
    PEER_GARBLED  /* accepts, sends what belongs to no protocol, and ends */
};

struct peer {
    enum peer_kind kind;
    int fd;
    uint16_t port;
    char path[64];
};

/* Start a peer; skips the case where the subject does not say how to get to one. */
void peer_open(struct peer *peer, const struct conform_subject *subject, enum peer_kind kind);
/* The subject's endpoint, but at the peer: a new reference. */
json_t *peer_endpoint(const struct peer *peer, const struct conform_subject *subject);

#endif
