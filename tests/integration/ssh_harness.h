/* SPDX-License-Identifier: MIT */
/* ssh_harness: what the tests of the manager ssh do all the time. */
#ifndef SSH_HARNESS_H
#define SSH_HARNESS_H

#include <connpool/ssh.h>

#include "server_sshd.h"

/* A context with one pool whose endpoint "there" is the server, with the user's key and known_hosts; options: more
 * options of the endpoint, which win, each beginning with a comma (", \"agent\": \"…\""). */
connpool *ssh_harness_open(const struct server_sshd *sshd, const char *options);
/* The same; pool: keys of the pool, each beginning with a comma. */
connpool *ssh_harness_open_with_pool(const struct server_sshd *sshd, const char *options, const char *pool);
/* The same, but nothing is set of the endpoint except host, port and user. */
connpool *ssh_harness_open_bare(const struct server_sshd *sshd, const char *options, const char *pool);
/* Run a command; it must end with status 0 and exactly that output. */
void ssh_harness_expect(const connpool_lease *lease, const char *command, const char *output);
/* One acquire, a command, a release. */
void ssh_harness_use(connpool_pool *pool);
/* An endpoint with these options (as of ssh_harness_open_bare) logs in. */
void ssh_harness_accepts(const struct server_sshd *sshd, const char *options);
/* It does not: the acquire fails with that class, and a text that has these words. */
void ssh_harness_refuses(const struct server_sshd *sshd, const char *options, int32_t error_class, const char *words);
/* A configuration with these options is refused, with a text that has these words. */
void ssh_harness_is_invalid(const struct server_sshd *sshd, const char *options, const char *words);

#endif
