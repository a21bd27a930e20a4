/* SPDX-License-Identifier: MIT */
/* The entry symbol is a function, as other programs' plugins have it (E8). */
#include <connpool/manager.h>

CONNPOOL_MANAGER_EXPORT const void *connpool_manager(void);
const void *connpool_manager(void)
{
    return NULL;
}
