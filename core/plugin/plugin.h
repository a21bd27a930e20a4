/* SPDX-License-Identifier: MIT */
/*
 * plugin: the registry of managers: each file becomes one checked private copy of its manager's table, loaded once for
 * the process and never unloaded (failures.md E23). In the copy every optional function that was NULL holds a default,
 * except those for which NULL decides something (check, prepare, reset, idle, close, descriptors, parse_endpoint stay
 * NULL), and the option rows are copied to today's stride.
 *
 * A file is known by its device and inode: the same file under several paths is one plugin. Different files are
 * different plugins, with globals of their own, also where they have one name (a copy of a file, another version in
 * another folder): a search takes the first that it finds, and only that one. The name in the table must be the one in
 * the name of the file by which it was asked for. A file that was replaced after it was loaded is refused under its old
 * path, for the process would go on with the old one.
 *
 * load is called once for each copy, by the thread that makes it; after a load that failed, the next attempt calls it
 * again.
 */
#ifndef CP_PLUGIN_H
#define CP_PLUGIN_H

#include <connpool/connpool.h>

#include "base/log.h"

/* Where to look for plugin files, in this order: the array, CONNPOOL_PLUGIN_PATH (not in a set-uid program), the
 * installed folder. */
struct cp_plugin_search {
    char *const *folders; /* absolute, ended by NULL; or NULL */
    uint32_t flags;       /* CONNPOOL_OPEN_TRUST_ANY_OWNER */
};

/* The manager of that name, or at that absolute path of a file, loading it if need be: its private copy, lives for
 * ever. NULL: the error says file, member, expected and found. May wait for files. Any thread (a process-wide lock is
 * held; load, the plugin's function, runs under no lock of a pool). */
const struct connpool_manager *cp_plugin_load(const char *name, const struct cp_plugin_search *search,
                                              connpool_error *error);

/* Check a table that comes from code (or a file: `origin` names it in errors) and make its private copy, lives for
 * ever; the same table again gives the same copy. NULL: the error. */
const struct connpool_manager *cp_plugin_adopt(const struct connpool_manager *manager, const char *origin,
                                               connpool_error *error);

#endif
