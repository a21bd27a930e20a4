/* SPDX-License-Identifier: MIT */
/* thread_signals: see thread_signals.h. */
#include "base/thread_signals.h"

#include <signal.h>

/* All signals are the application's, except those that a thread's own fault raises: blocked, they would kill the
 * process without its handler. */
void cp_thread_signals_block(pthread_attr_t *attributes)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t signals;

    (void)sigfillset(&signals);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        (void)sigdelset(&signals, own[i]);
    }
    (void)pthread_attr_setsigmask_np(attributes, &signals);
}
