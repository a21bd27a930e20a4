/* SPDX-License-Identifier: MIT */
/* plugin_refusal: the sentence with which a plugin is refused: the file, then what was expected and what was found. */
#ifndef CP_PLUGIN_REFUSAL_H
#define CP_PLUGIN_REFUSAL_H

#include <connpool/connpool.h>
#include <stdbool.h>

/* *error (may be NULL) becomes CONNPOOL_PLUGIN_ERROR, class configuration, with the text "<origin>: <formatted>".
 * origin: the plugin's file, or what names a table from code; "": nothing, and no colon. os_error: errno, which is
 * added in words; 0: none. Control characters become '?'. Returns false, for `return cp_plugin_refuse(…)`. Any thread,
 * never waits. */
bool cp_plugin_refuse(connpool_error *error, const char *origin, int os_error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
