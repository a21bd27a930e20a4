/* SPDX-License-Identifier: MIT */
/* fault: fills a struct connpool_fault, which keeps its first error. */
#ifndef FAULT_H
#define FAULT_H

#include <connpool/manager.h>

/* Unless the fault holds an error already, store one: the class with its usual scope, os_error (0: none) and the text.
 * Returns -error_class. */
int32_t fault_fill(struct connpool_fault *fault, int32_t error_class, int os_error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
