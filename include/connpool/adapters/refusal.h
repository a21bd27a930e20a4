/* SPDX-License-Identifier: MIT */
/* connpool/adapters/refusal.h: how the adapters tell that a loop does not take a reactor. Nothing for applications. */
#ifndef CONNPOOL_ADAPTERS_REFUSAL_H
#define CONNPOOL_ADAPTERS_REFUSAL_H

#include <connpool/connpool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fill the error (may be NULL): the library refuses to watch a descriptor; os_error is an errno, 0: none. Returns the
 * status. Any thread. */
static inline connpool_status connpool_adapter_refusal(connpool_error *error, connpool_status status, int os_error,
                                                       const char *library, const char *cause)
{
    if (error != NULL) {
        error->status = status;
        error->error_class = 0;
        error->os_error = os_error;
        error->library_code = 0;
        (void)snprintf(error->text, sizeof(error->text), "reactor: %s cannot watch its descriptor: %s", library, cause);
    }
    return status;
}

#ifdef __cplusplus
}
#endif

#endif
