/* SPDX-License-Identifier: MIT */
/* complaint: see complaint.h. */
#include "base/complaint.h"

#include <stdarg.h>
#include <stdio.h>

bool cp_complain(struct cp_complaint *complaint, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(complaint->text, sizeof(complaint->text), format, arguments);
    va_end(arguments);
    return false;
}

bool cp_complain_no_memory(struct cp_complaint *complaint)
{
    complaint->no_memory = true;
    return cp_complain(complaint, "out of memory");
}
