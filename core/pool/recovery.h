/* SPDX-License-Identifier: MIT */
/*
 * recovery: an endpoint whose opens fail is left alone for a while (backoff.h), then asked by one open at a time; when
 * one succeeds two may be made at once, and each that succeeds allows one more, so that their number doubles with each
 * round, as in a TCP's slow start (RFC 5681, 3.1): what comes back is not met by all that waited (failures.md C19).
 *
 * The top-up of idle connections (supply.h) and acquires with `retry` keep to it; other acquires do not. It is kept
 * only where one of the two is on. All functions: the pool's lock is held.
 */
#ifndef CP_RECOVERY_H
#define CP_RECOVERY_H

#include <connpool/manager.h>
#include <stdbool.h>
#include <stdint.h>

struct connpool_endpoint;

/* All zero: in order. */
struct cp_recovery {
    uint64_t limit;        /* opens at one time; 0: as many as there are slots */
    uint32_t failures;     /* in a row; those that were under way together are one */
    int64_t until;         /* no open is started before */
    int64_t refused_until; /* nor by the top-up: what failed does not pass by itself */
    int64_t succeeded_at;  /* the last open that succeeded while there was a limit */
    uint64_t refused;      /* acquires that came into line up to this number do not try what was refused meanwhile */
    struct connpool_fault refusal; /* why */
};

/* Whether a fault of this class may pass by itself; the others are never retried within an acquire (plugin-abi.md,
 * Errors). */
bool cp_recovery_may_pass(int32_t error_class);

/* An open failed. */
void cp_recovery_failed(struct connpool_endpoint *endpoint, const struct connpool_fault *fault, int64_t now);
/* An open succeeded. True: more may be started than before. */
bool cp_recovery_succeeded(struct connpool_endpoint *endpoint, int64_t now);

/* Opens may not be started freely. */
static inline bool cp_recovery_is_on(const struct cp_recovery *recovery)
{
    return recovery->limit != 0;
}

/* Whether connects are held down (`holddown`), so that an acquire fails at once; one that retries waits instead. */
bool cp_recovery_is_held(const struct connpool_endpoint *endpoint, int64_t now);
/* Until when no acquire starts an open there, for a time that passes: the peer takes no more, or it retries and was
 * told to pause. 0, or a time that is over: there is no such time. */
int64_t cp_recovery_stopped_until(const struct connpool_endpoint *endpoint);
/* How long an acquire has to wait before it starts an open: 0: not; else until that time, CP_NEVER: until an open that
 * is under way has ended. Takes the endpoint's lock where there is a limit. */
int64_t cp_recovery_wait(struct connpool_endpoint *endpoint, int64_t now);

/* Whether one more open may be started now. Takes the endpoint's lock where there is a limit. */
bool cp_recovery_may_open(struct connpool_endpoint *endpoint, int64_t now);

#endif
