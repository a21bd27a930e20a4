/* SPDX-License-Identifier: MIT */
/* log: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void cp_log_write(const struct cp_log *log, int32_t level, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    if (log->write == NULL) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log->write(log->argument, level, text);
}
