/* SPDX-License-Identifier: MIT */
/* log: the application's log function, called without locks. Any thread, never waits. */
#ifndef CP_LOG_H
#define CP_LOG_H

#include <connpool/connpool.h>

struct cp_log {
    connpool_log_fn *write; /* NULL: no log */
    void *argument;
};

void cp_log_write(const struct cp_log *log, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
