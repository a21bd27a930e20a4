/* SPDX-License-Identifier: MIT */
/* sandbox: see sandbox.h. */
#include "sandbox.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int sandbox_setup(void **state)
{
    char *folder = strdup("/tmp/connpool-test-XXXXXX");
    *state = folder;
    return folder != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

int sandbox_teardown(void **state)
{
    int result = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return result;
}

struct sandbox_path sandbox_join(const char *folder, const char *name)
{
    struct sandbox_path path;
    int length = snprintf(path.text, sizeof(path.text), "%s/%s", folder, name);
    assert_in_range(length, 1, PATH_MAX - 1);
    return path;
}

static struct sandbox_path file_of(const char *folder, const char *plugin)
{
    char file[NAME_MAX];
    (void)snprintf(file, sizeof(file), "connpool_%s.so", plugin);
    return sandbox_join(folder, file);
}

struct sandbox_path sandbox_built(const char *plugin)
{
    return file_of(CONNPOOL_TEST_TEST_PLUGIN_FOLDER "/loader", plugin);
}

char *sandbox_read(const char *path, size_t *size)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_not_equal(descriptor, -1);
    assert_int_equal(fstat(descriptor, &status), 0);
    char *content = calloc(1, (size_t)status.st_size + 1);
    assert_non_null(content);
    *size = 0;
    while (*size < (size_t)status.st_size) {
        ssize_t count = read(descriptor, content + *size, (size_t)status.st_size - *size);
        assert_true(count > 0);
        *size += (size_t)count;
    }
    assert_int_equal(close(descriptor), 0);
    return content;
}

void sandbox_write(const char *path, const void *content, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_not_equal(descriptor, -1);
    assert_int_equal(fchmod(descriptor, 0644), 0);
    assert_int_equal(write(descriptor, content, size), (ssize_t)size);
    assert_int_equal(close(descriptor), 0);
}

void sandbox_patch(const char *path, off_t offset, const void *bytes, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_not_equal(descriptor, -1);
    assert_int_equal(pwrite(descriptor, bytes, size, offset), (ssize_t)size);
    assert_int_equal(close(descriptor), 0);
}

struct sandbox_path sandbox_plugin_as(const char *folder, const char *plugin, const char *file)
{
    struct sandbox_path from = sandbox_built(plugin);
    struct sandbox_path to = sandbox_join(folder, file);
    size_t size;
    char *content = sandbox_read(from.text, &size);
    sandbox_write(to.text, content, size);
    free(content);
    return to;
}

struct sandbox_path sandbox_plugin(const char *folder, const char *plugin)
{
    struct sandbox_path to = file_of(folder, plugin);
    return sandbox_plugin_as(folder, plugin, strrchr(to.text, '/') + 1);
}

void sandbox_assert_refused(const connpool_error *error, const char *const *words)
{
    if (error->status != CONNPOOL_PLUGIN_ERROR) {
        fail_msg("expected a plugin error, found status %d: %s", (int)error->status, error->text);
    }
    for (; *words != NULL; words++) {
        if (strstr(error->text, *words) == NULL) {
            fail_msg("expected '%s' in: %s", *words, error->text);
        }
    }
}
