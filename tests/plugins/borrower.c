/* SPDX-License-Identifier: MIT */
/* No plugin, but a library that it needs has the entry symbol (E8); without that library it cannot be loaded (E7). */
#include <connpool/manager.h>

extern const int32_t connpool_test_lent;

CONNPOOL_MANAGER_EXPORT extern const int32_t *const connpool_test_borrowed;
const int32_t *const connpool_test_borrowed = &connpool_test_lent;
