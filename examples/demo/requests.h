/* SPDX-License-Identifier: MIT */
/* requests: one small exchange with each of the demo's servers, over a connection that is open. */
#ifndef REQUESTS_H
#define REQUESTS_H

/* Both may wait. 0: answered; -1: the connection is of no more use. */
int requests_http(int fd);
int requests_redis(int fd);

#endif
