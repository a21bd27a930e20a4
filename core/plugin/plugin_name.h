/* SPDX-License-Identifier: MIT */
/* plugin_name: how a manager is called, and the file that it is in: connpool_<name>.so. */
#ifndef CP_PLUGIN_NAME_H
#define CP_PLUGIN_NAME_H

#include <stdbool.h>

#define CP_PLUGIN_NAME_SIZE 33 /* of a name with its NUL: [a-z][a-z0-9-]{0,31} */
#define CP_PLUGIN_NAME_RULE "[a-z][a-z0-9-]{0,31}"

/* Reads at most CP_PLUGIN_NAME_SIZE bytes. NULL: false. Any thread, never waits. */
bool cp_plugin_name_valid(const char *name);
/* The name in a file's name without folders; false: it is none of a plugin. Any thread, never waits. */
bool cp_plugin_name_of_file(const char *file, char name[CP_PLUGIN_NAME_SIZE]);

#endif
