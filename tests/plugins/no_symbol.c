/* SPDX-License-Identifier: MIT */
/* A shared object that is no plugin: it has another symbol (E8). */
#include <connpool/manager.h>

CONNPOOL_MANAGER_EXPORT extern const int32_t connpool_test_other;
const int32_t connpool_test_other = 1;
