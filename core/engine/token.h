/* SPDX-License-Identifier: MIT */
/*
 * token: the numbers that plugins (and workers) fire with host->wake. A token is slot and generation in a table of the
 * whole process that is never freed, so that a late wake from any thread, even after the context is gone, does nothing.
 * Any thread, never waits.
 */
#ifndef CP_TOKEN_H
#define CP_TOKEN_H

#include <stdint.h>

#include "engine/waker.h"

/* A new token, 0: no memory. */
uint64_t cp_token_new(void);
/* Wakes that come later do nothing. Accepts 0. */
void cp_token_free(uint64_t token);
/* Point the token at a waker (a reference is taken, the old one's given back); NULL: at none. A wake that came while it
 * pointed at none is latched and fires now. */
void cp_token_arm(uint64_t token, struct cp_waker *waker);
/* Fire the waker it points at. */
void cp_token_wake(uint64_t token);

#endif
