/* SPDX-License-Identifier: MIT */
/* plugin_refusal: see plugin_refusal.h. */
#include "plugin/plugin_refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Longest part of an origin that is shown, its end: so a long path leaves room for the reason. */
#define ORIGIN_SHOWN 240

/* Names and paths come from configurations and plugins; a line end in one must not make a second line of a log. */
static void mask_control_characters(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

bool cp_plugin_refuse(connpool_error *error, const char *origin, int os_error, const char *format, ...)
{
    char reason[sizeof(error->text)];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);

    size_t length = strlen(origin);
    const char *shown = length > ORIGIN_SHOWN ? origin + length - ORIGIN_SHOWN : origin;
    const char *cut = shown == origin ? "" : "...", *colon = length == 0 ? "" : ": ";
    char buffer[128];
    if (os_error != 0) {
        (void)cp_error_set(error, CONNPOOL_PLUGIN_ERROR, CONNPOOL_ERROR_CONFIGURATION, "%s%s%s%s: %s", cut, shown,
                           colon, reason, strerror_r(os_error, buffer, sizeof(buffer)));
    } else {
        (void)cp_error_set(error, CONNPOOL_PLUGIN_ERROR, CONNPOOL_ERROR_CONFIGURATION, "%s%s%s%s", cut, shown, colon,
                           reason);
    }
    if (error != NULL) {
        error->os_error = os_error;
        mask_control_characters(error->text);
    }
    return false;
}
