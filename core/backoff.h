/* SPDX-License-Identifier: MIT */
/*
 * backoff: how long to leave a server alone after a connect that failed. Decorrelated jitter (Brooker, "Exponential
 * Backoff And Jitter", AWS Architecture Blog, 2015, where it ends soonest with the least work): each pause is drawn
 * between the first one and three times the last one. The upper end, not the pause, is cut at the most, so that clients
 * of a server that is down for long stay spread.
 */
#ifndef CP_BACKOFF_H
#define CP_BACKOFF_H

#include "clock.h"

/* The shortest pause: a local server's restart takes longer, and ten connects a second disturb none. */
#define CP_BACKOFF_FIRST (100 * CP_MILLISECOND)
/* The longest pause after a fault that passes by itself: what a caller waits at most after the server is back. Less
 * than pgbouncer's server_login_retry (15 s) and HikariCP's ten, because there is only one prober. */
#define CP_BACKOFF_MOST (5 * CP_SECOND)
/* The pause after a fault that somebody must mend (credentials, trust, configuration): each attempt may count against
 * the account, and none will succeed soon. */
#define CP_BACKOFF_LONGEST (60 * CP_SECOND)

/* The pause after one of `last` (0: the first), for a random number 0 <= random < 1: from CP_BACKOFF_FIRST to
 * CP_BACKOFF_MOST. */
int64_t cp_backoff_next(int64_t last, double random);

#endif
