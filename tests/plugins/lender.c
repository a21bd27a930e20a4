/* SPDX-License-Identifier: MIT */
/* A library that has the entry symbol, which must not be taken for that of a plugin that needs the library (E8). */
#include <connpool/manager.h>

CONNPOOL_MANAGER_EXPORT extern const struct connpool_manager connpool_manager;
const struct connpool_manager connpool_manager = {.magic = CONNPOOL_MANAGER_MAGIC};

CONNPOOL_MANAGER_EXPORT extern const int32_t connpool_test_lent;
const int32_t connpool_test_lent = 1;
