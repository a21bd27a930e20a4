/* SPDX-License-Identifier: MIT */
/* measure: one operation timed many times. What ends in failure ends the benchmark with its error. */
#ifndef MEASURE_H
#define MEASURE_H

#include <connpool/connpool.h>
#include <stdint.h>

/* What may not fail; what says which it was. */
void measure_expect(connpool_status status, const char *what, const connpool_error *error);
/* Open a context with plugins of the build and this text; the pools' endpoints are relative to the folder. */
connpool *measure_open(const char *text, const char *folder);
/* The endpoint of a pool that has one. To be put. */
connpool_endpoint *measure_endpoint(connpool *context, const char *pool);
/* Nanoseconds that an acquire takes; it must succeed. */
int64_t measure_acquire(connpool_endpoint *endpoint, connpool_lease *lease);
/* A release; it must succeed. */
void measure_release(connpool_lease *lease);

#endif
