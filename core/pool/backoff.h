/* SPDX-License-Identifier: MIT */
/*
 * backoff: how long to leave a server alone after connects that failed. Exponential backoff with full jitter (Brooker,
 * "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): each pause is drawn below a bound that doubles with
 * each failure, so that clients which failed together do not come together again. Not below CP_BACKOFF_FIRST: the
 * first pause must not be none.
 */
#ifndef CP_BACKOFF_H
#define CP_BACKOFF_H

#include "base/clock.h"

/* The shortest pause: a local server's restart takes longer, and ten connects a second disturb none. */
#define CP_BACKOFF_FIRST (100 * CP_MILLISECOND)
/* The longest pause after a fault that passes by itself: what a caller waits at most after the server is back. Less
 * than pgbouncer's server_login_retry (15 s) and HikariCP's ten, because there is only one prober. */
#define CP_BACKOFF_MOST (5 * CP_SECOND)
/* The pause after a fault that somebody must mend (credentials, trust, configuration): each attempt may count against
 * the account, and none will succeed soon. */
#define CP_BACKOFF_LONGEST (60 * CP_SECOND)

/* The pause after so many failures in a row (at least 1), for a random number 0 <= random < 1. */
int64_t cp_backoff_pause(uint32_t failures, double random);

#endif
