/* SPDX-License-Identifier: MIT */
/* harness: what the integration tests do all the time with the public API; failures fail the test with the error's
 * text. */
#ifndef HARNESS_H
#define HARNESS_H

#include <connpool/connpool.h>
#include <stdint.h>

#define HARNESS_LIMIT_MS 5000 /* far more than anything takes that does not hang */

/* Open a configuration with the plugins of this build. */
connpool *harness_open(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, by that clock. */
connpool *harness_open_by(const struct connpool_clock *clock, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Close it: nothing may be leased any more. */
void harness_close(connpool *context);
/* Its first pool. */
connpool_pool *harness_pool(connpool *context);

/* Acquire within HARNESS_LIMIT_MS. */
connpool_lease harness_acquire(connpool_pool *pool, const char *endpoint);
/* Acquire within limit_ms; it must fail with that status. */
connpool_error harness_acquire_fails(connpool_pool *pool, const char *endpoint, int limit_ms, connpool_status status);
void harness_release(connpool_lease *lease);
void harness_discard(connpool_lease *lease);

struct connpool_lease_info harness_info(const connpool_lease *lease);
struct connpool_statistics harness_statistics(const connpool_pool *pool);

/* Sockets that the process has open. */
unsigned harness_sockets(void);
/* Bytes that a TCP socket received and sent since it was opened. */
uint64_t harness_received(int fd);
uint64_t harness_sent(int fd);
/* Yield until it received more than that, and all of it was read. */
void harness_await_taken_in(int fd, uint64_t received);
/* Milliseconds of the monotonic clock. */
int64_t harness_now_ms(void);

#endif
