/* SPDX-License-Identifier: MIT */
/* fault: fills a struct connpool_fault, which keeps its first error. */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

int32_t fault_fill(struct connpool_fault *fault, int32_t error_class, int os_error, const char *format, ...)
{
    va_list arguments;

    if (fault->error_class == 0) {
        fault->error_class = error_class;
        fault->scope =
            error_class == CONNPOOL_ERROR_CONFIGURATION ? CONNPOOL_SCOPE_ENDPOINT : CONNPOOL_SCOPE_CONNECTION;
        fault->os_error = os_error;
        va_start(arguments, format);
        (void)vsnprintf(fault->text, sizeof(fault->text), format, arguments);
        va_end(arguments);
    }
    return -error_class;
}
