/* SPDX-License-Identifier: MIT */
/* postgres_command: one query and its answer, as a step. */
#ifndef POSTGRES_COMMAND_H
#define POSTGRES_COMMAND_H

#include <connpool/manager.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* A step: send sql, which may hold several statements, and read all of the answer. *is_sent is the progress, false at
 * first and after the end. `what` begins the text of a fault. The connection is not blocking after it. */
int32_t postgres_command_step(PGconn *pg, bool *is_sent, const char *sql, const char *what, struct connpool_wait *wait,
                              struct connpool_fault *fault);

#endif
