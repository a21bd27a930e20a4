/* SPDX-License-Identifier: MIT */
/* error: see error.h. The names of statuses and classes, and what an errno means, are tables. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const status_texts[] = {
    [CONNPOOL_OK] = "ok",
    [CONNPOOL_TIMED_OUT] = "timed out",
    [CONNPOOL_CLOSED] = "closed",
    [CONNPOOL_FAILED] = "failed",
    [CONNPOOL_OVERLOADED] = "overloaded",
    [CONNPOOL_NOT_FOUND] = "not found",
    [CONNPOOL_INVALID] = "invalid",
    [CONNPOOL_STALE] = "stale",
    [CONNPOOL_NO_MEMORY] = "no memory",
    [CONNPOOL_FORKED] = "forked",
    [CONNPOOL_PLUGIN_ERROR] = "plugin error",
    [CONNPOOL_STILL_LEASED] = "still leased",
};

static const char *const class_texts[] = {
    [0] = "none",
    [CONNPOOL_ERROR_TRANSIENT] = "transient",
    [CONNPOOL_ERROR_REFUSED] = "refused",
    [CONNPOOL_ERROR_UNREACHABLE] = "unreachable",
    [CONNPOOL_ERROR_AUTHENTICATION] = "authentication",
    [CONNPOOL_ERROR_TRUST] = "trust",
    [CONNPOOL_ERROR_CONFIGURATION] = "configuration",
    [CONNPOOL_ERROR_PROTOCOL] = "protocol",
    [CONNPOOL_ERROR_CLOSED] = "closed",
    [CONNPOOL_ERROR_TIMEOUT] = "timeout",
    [CONNPOOL_ERROR_RESOURCE_LOCAL] = "local resource",
    [CONNPOOL_ERROR_RESOURCE_REMOTE] = "remote resource",
    [CONNPOOL_ERROR_UNSUPPORTED] = "unsupported",
    [CONNPOOL_ERROR_MISBEHAVING] = "misbehaving plugin",
    [CONNPOOL_ERROR_INTERNAL] = "internal",
};

static const struct {
    int os_error;
    int32_t error_class;
} errno_classes[] = {
    {ECONNREFUSED, CONNPOOL_ERROR_REFUSED},
    {ENOENT, CONNPOOL_ERROR_REFUSED},
    {ENETUNREACH, CONNPOOL_ERROR_UNREACHABLE},
    {EHOSTUNREACH, CONNPOOL_ERROR_UNREACHABLE},
    {ENETDOWN, CONNPOOL_ERROR_UNREACHABLE},
    {EHOSTDOWN, CONNPOOL_ERROR_UNREACHABLE},
    {EACCES, CONNPOOL_ERROR_UNREACHABLE},
    {EPERM, CONNPOOL_ERROR_UNREACHABLE},
    {ETIMEDOUT, CONNPOOL_ERROR_TIMEOUT},
    {ECONNRESET, CONNPOOL_ERROR_CLOSED},
    {EPIPE, CONNPOOL_ERROR_CLOSED},
    {ECONNABORTED, CONNPOOL_ERROR_CLOSED},
    {EMFILE, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENFILE, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENOMEM, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENOBUFS, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {EADDRNOTAVAIL, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {EADDRINUSE, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {EAGAIN, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENAMETOOLONG, CONNPOOL_ERROR_CONFIGURATION},
    {EPROTOTYPE, CONNPOOL_ERROR_CONFIGURATION},
    {EAFNOSUPPORT, CONNPOOL_ERROR_UNSUPPORTED},
    {EPROTONOSUPPORT, CONNPOOL_ERROR_UNSUPPORTED},
    {EINVAL, CONNPOOL_ERROR_CONFIGURATION},
};

const char *connpool_status_text(connpool_status status)
{
    return (size_t)status < COUNT(status_texts) ? status_texts[status] : "unknown status";
}

const char *connpool_error_class_text(int32_t error_class)
{
    return error_class >= 0 && (size_t)error_class < COUNT(class_texts) ? class_texts[error_class] : "unknown class";
}

int32_t cp_error_class_of_errno(int os_error)
{
    for (size_t i = 0; i < COUNT(errno_classes); i++) {
        if (errno_classes[i].os_error == os_error) {
            return errno_classes[i].error_class;
        }
    }
    return CONNPOOL_ERROR_TRANSIENT;
}

static void begin(connpool_error *error, connpool_status status, int32_t error_class)
{
    memset(error, 0, offsetof(connpool_error, text) + 1);
    error->status = status;
    error->error_class = error_class;
}

connpool_status cp_error_set(connpool_error *error, connpool_status status, int32_t error_class, const char *format,
                             ...)
{
    va_list arguments;

    if (error == NULL) {
        return status;
    }
    begin(error, status, error_class);
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return status;
}

connpool_status cp_error_set_fault(connpool_error *error, connpool_status status, const struct connpool_fault *fault,
                                   const char *format, ...)
{
    va_list arguments;
    size_t length;

    if (error == NULL) {
        return status;
    }
    begin(error, status, fault->error_class);
    error->os_error = fault->os_error;
    error->library_code = fault->library_code;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    length = strlen(error->text);
    (void)snprintf(error->text + length, sizeof(error->text) - length, ": %.*s", (int)sizeof(fault->text), fault->text);
    return status;
}

connpool_status cp_error_no_memory(connpool_error *error, const char *object)
{
    return cp_error_set(error, CONNPOOL_NO_MEMORY, CONNPOOL_ERROR_RESOURCE_LOCAL, "%s: out of memory", object);
}

void cp_fault_init(struct connpool_fault *fault)
{
    memset(fault, 0, offsetof(struct connpool_fault, text) + 1);
    fault->size = sizeof(*fault);
}

int32_t cp_fault_set(struct connpool_fault *fault, int32_t error_class, int os_error, const char *format, ...)
{
    va_list arguments;

    if (fault != NULL && fault->error_class == 0) {
        fault->error_class = error_class;
        fault->os_error = os_error;
        va_start(arguments, format);
        (void)vsnprintf(fault->text, sizeof(fault->text), format, arguments);
        va_end(arguments);
    }
    return -error_class;
}
