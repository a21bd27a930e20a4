/* SPDX-License-Identifier: MIT */
/* tree: libbsd's red-black trees (header only). Its RB_GENERATE_STATIC wants BSD's __unused, which would collide with
 * names of glibc's headers. */
#ifndef CP_TREE_H
#define CP_TREE_H

#include <bsd/sys/tree.h>

/* The functions of a tree, static, those that are not used without a warning. */
#define CP_TREE_GENERATE(name, type, field, compare)                                                                   \
    RB_GENERATE_INTERNAL(name, type, field, compare, static __attribute__((unused)))

#endif
