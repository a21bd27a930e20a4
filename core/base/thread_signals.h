/* SPDX-License-Identifier: MIT */
/* thread_signals: which signals the library's own threads take. */
#ifndef CP_THREAD_SIGNALS_H
#define CP_THREAD_SIGNALS_H

#include <pthread.h>

/* A thread made with these attributes takes no signal but those that a fault of its own raises. Any thread, never
 * waits. */
void cp_thread_signals_block(pthread_attr_t *attributes);

#endif
