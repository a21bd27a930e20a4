/* SPDX-License-Identifier: MIT */
/*
 * postgres_notice: what the server says beside its answers goes to the host's log; libpq's own way, standard error,
 * would be the application's.
 */
#ifndef POSTGRES_NOTICE_H
#define POSTGRES_NOTICE_H

#include "postgres.h"

/* Send a connection's notices to the log from now on. */
void postgres_notice_attach(struct postgres *postgres);
/* Until the matching call with NULL, this thread runs a step of that connection: what libpq finds wrong itself counts
 * against it. */
void postgres_notice_watch(struct postgres *postgres);

#endif
