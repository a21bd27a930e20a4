/* SPDX-License-Identifier: MIT */
/* ssh_trust: who the server is: only one that proves a key which known_hosts has for it, and which is pinned where pins
 * are given, is logged in to. */
#ifndef SSH_TRUST_H
#define SSH_TRUST_H

#include <connpool/manager.h>

struct ssh_session;

/* Whether any server could be trusted at all: the negative of CONNPOOL_ERROR_TRUST where known_hosts has no key of use
 * for it. Before the first byte is sent. */
int32_t ssh_trust_is_possible(const struct ssh_session *session, struct connpool_fault *fault);
/* Before the handshake: ask the server to prove a key of a kind that known_hosts has for it, for it would choose
 * another of its keys and seem changed. */
int32_t ssh_trust_ask(struct ssh_session *session, struct connpool_fault *fault);
/* Why the handshake failed. */
int32_t ssh_trust_fail(struct ssh_session *session, int error, struct connpool_fault *fault);
/* After the handshake. */
int32_t ssh_trust_verify(struct ssh_session *session, struct connpool_fault *fault);

#endif
