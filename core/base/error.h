/* SPDX-License-Identifier: MIT */
/* error: filling connpool_error and connpool_fault, and what an errno means to a pool. Any thread, never waits. */
#ifndef CP_ERROR_H
#define CP_ERROR_H

#include <connpool/connpool.h>

/* Overwrite *error (may be NULL) with a status, an error class (0: none) and a sentence; returns status. */
connpool_status cp_error_set(connpool_error *error, connpool_status status, int32_t error_class, const char *format,
                             ...) __attribute__((format(printf, 4, 5)));
/* The same, with what a fault knows: the sentence becomes "<formatted>: <the fault's text>". */
connpool_status cp_error_set_fault(connpool_error *error, connpool_status status, const struct connpool_fault *fault,
                                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "out of memory" for that object; returns CONNPOOL_NO_MEMORY. */
connpool_status cp_error_no_memory(connpool_error *error, const char *object);

/* A zeroed fault with its size set. */
void cp_fault_init(struct connpool_fault *fault);
/* Fill a fault (may be NULL) unless it holds one already, the first stays. os_error 0: none. Returns -error_class, for
 * `return cp_fault_set(…)`. */
int32_t cp_fault_set(struct connpool_fault *fault, int32_t error_class, int os_error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The error class that an errno of a socket call means: ECONNREFUSED -> REFUSED, EMFILE -> RESOURCE_LOCAL …
 * (failures.md A1-A5, B17). */
int32_t cp_error_class_of_errno(int os_error);

#endif
