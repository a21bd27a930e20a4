/* SPDX-License-Identifier: MIT */
/* lock: see lock.h. */
#include "base/lock.h"

#ifndef NDEBUG
_Thread_local unsigned cp_locks_held;
#else
/* ISO C wants a declaration in every file. */
typedef int cp_lock_has_no_object;
#endif
