/* SPDX-License-Identifier: MIT */
/*
 * plugin_file: from a manager's name, or an absolute path, to an open file that may be trusted. A name is looked for in
 * the folders of the search, then those of CONNPOOL_PLUGIN_PATH (separated by colons; not in a set-uid program), then
 * in the installed folder; the first folder that has the file decides, also when the file is then refused. A bare name
 * never reaches the dynamic linker's own search (failures.md E24).
 */
#ifndef CP_PLUGIN_FILE_H
#define CP_PLUGIN_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "plugin/plugin.h"
#include "plugin/plugin_name.h"

struct cp_plugin_file {
    char *path; /* absolute */
    char name[CP_PLUGIN_NAME_SIZE];
    int descriptor;
    dev_t device;
    ino_t inode;
};

/* Find, check and open: folders, then no-follow and non-blocking, then a regular file, owner and mode. False: the
 * error, and nothing is open. Any thread; may wait for the file system. */
bool cp_plugin_file_open(struct cp_plugin_file *file, const char *name, const struct cp_plugin_search *search,
                         connpool_error *error);
/* The path still names the file that is open. */
bool cp_plugin_file_unchanged(const struct cp_plugin_file *file, connpool_error *error);
void cp_plugin_file_close(struct cp_plugin_file *file);

#endif
