/* SPDX-License-Identifier: MIT */
/* requests: one small exchange with each of the demo's servers, over a connection that is leased. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <connpool/connpool.h>

#define REQUESTS_ANSWER_SIZE 64

/* All may wait. 0: answered, and answer has a word about it; -1: the connection is of no more use. */
typedef int requests_fn(const connpool_lease *lease, char answer[REQUESTS_ANSWER_SIZE]);

requests_fn requests_http, requests_redis, requests_https, requests_sql, requests_ssh;

#endif
