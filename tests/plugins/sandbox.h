/* SPDX-License-Identifier: MIT */
/*
 * sandbox: a temporary folder that the loader trusts, and copies of the test plugins in it, to be broken there. All
 * functions fail the test when the system does; paths are absolute.
 */
#ifndef TEST_SANDBOX_H
#define TEST_SANDBOX_H

#include <connpool/connpool.h>
#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

/* As cmocka's setup and teardown of a test: *state is the folder's path, removed with all in it afterwards. */
int sandbox_setup(void **state);
int sandbox_teardown(void **state);

struct sandbox_path {
    char text[PATH_MAX];
};

/* folder/name */
struct sandbox_path sandbox_join(const char *folder, const char *name);
/* Where the build put the test plugin. */
struct sandbox_path sandbox_built(const char *plugin);
/* Copies the test plugin into the folder as connpool_<plugin>.so (or under another file name), mode 0644. */
struct sandbox_path sandbox_plugin(const char *folder, const char *plugin);
struct sandbox_path sandbox_plugin_as(const char *folder, const char *plugin, const char *file);

/* Whole contents, to be freed; *size without the NUL that is added. */
char *sandbox_read(const char *path, size_t *size);
void sandbox_write(const char *path, const void *content, size_t size);
/* Overwrite a part in place. */
void sandbox_patch(const char *path, off_t offset, const void *bytes, size_t size);

/* The status is CONNPOOL_PLUGIN_ERROR and the text has each of the words (ended by NULL) in it. */
void sandbox_assert_refused(const connpool_error *error, const char *const *words);
#define assert_refused(error, ...) sandbox_assert_refused((error), (const char *const[]){__VA_ARGS__, NULL})

#endif
