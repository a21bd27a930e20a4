/* SPDX-License-Identifier: MIT */
/* option_row: walking a manager's table of option rows. Any thread, never waits. */
#ifndef CP_OPTION_ROW_H
#define CP_OPTION_ROW_H

#include <connpool/manager.h>
#include <stdbool.h>
#include <stddef.h>

/* The index-th row; rows are a stride apart, which may be more than this host knows of. */
const struct connpool_option *cp_option_row(const struct connpool_manager *manager, size_t index);
/* The index of the row of that name, which is length bytes; option_count: none. */
size_t cp_option_find(const struct connpool_manager *manager, const char *name, size_t length);
/* Nothing is given for it and it has no default. */
bool cp_option_is_required(const struct connpool_option *row);

#endif
