/* SPDX-License-Identifier: MIT */
/* plugin_file: see plugin_file.h. */
#include "plugin/plugin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "plugin/plugin_refusal.h"
#include "plugin/trust.h"

#define PATH_VARIABLE "CONNPOOL_PLUGIN_PATH"

enum outcome { FOUND, ABSENT, REFUSED };

/* A search under way. */
struct search {
    struct cp_plugin_file *file;
    bool any_owner;
    connpool_error *error;
    char tried[320]; /* the folders that do not have it, for the last message */
};

static const char *kind_of_file(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFLNK:
        return "a symbolic link";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    default:
        return "something else";
    }
}

static bool is_absent(const char *path)
{
    struct stat status;
    return lstat(path, &status) == -1 && (errno == ENOENT || errno == ENOTDIR);
}

/* file->descriptor is open: what it is, and whose. */
static bool check_opened(const struct search *search)
{
    struct cp_plugin_file *file = search->file;
    struct stat status;
    if (fstat(file->descriptor, &status) == -1) {
        return cp_plugin_refuse(search->error, file->path, errno, "cannot read the file's status");
    }
    if (!S_ISREG(status.st_mode)) {
        return cp_plugin_refuse(search->error, file->path, 0, "expected a regular file, found %s",
                                kind_of_file(status.st_mode));
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return search->any_owner || cp_trust_check_file(file->path, &status, search->error);
}

static enum outcome refuse_open(const struct search *search, int failure)
{
    if (failure == ENOENT) {
        return ABSENT;
    }
    if (failure == ELOOP) {
        (void)cp_plugin_refuse(search->error, search->file->path, 0, "expected a regular file, found a symbolic link");
    } else {
        (void)cp_plugin_refuse(search->error, search->file->path, failure, "cannot open");
    }
    return REFUSED;
}

/* Non-blocking, for opening a FIFO waits for a writer (failures.md E5). */
static enum outcome open_in(const struct search *search, int folder, const char *base)
{
    struct cp_plugin_file *file = search->file;
    file->descriptor = openat(folder, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (file->descriptor == -1) {
        return refuse_open(search, errno);
    }
    return check_opened(search) ? FOUND : REFUSED;
}

/* file->path is known; folder is the part before its last component. A folder that is not to be trusted matters only
 * where it has the file. */
static enum outcome open_path(const struct search *search, const char *folder)
{
    bool missing;
    int descriptor = cp_trust_open_folder(folder, search->file->path, search->any_owner, &missing, search->error);
    if (descriptor == -1) {
        return missing || is_absent(search->file->path) ? ABSENT : REFUSED;
    }
    enum outcome outcome = open_in(search, descriptor, strrchr(search->file->path, '/') + 1);
    (void)close(descriptor);
    return outcome;
}

static void note_tried(struct search *search, const char *folder)
{
    size_t length = strlen(search->tried);
    (void)snprintf(search->tried + length, sizeof(search->tried) - length, "%s%s", length == 0 ? "" : ", ", folder);
}

/* origin: who named the folder. */
static enum outcome try_folder(struct search *search, const char *folder, const char *origin)
{
    struct cp_plugin_file *file = search->file;
    if (folder[0] != '/') {
        (void)cp_plugin_refuse(search->error, origin, 0, "expected absolute folders, found '%s'", folder);
        return REFUSED;
    }
    cp_free(file->path);
    file->path = cp_text_format("%s/connpool_%s.so", folder, file->name);
    if (file->path == NULL) {
        (void)cp_error_no_memory(search->error, "the path of a plugin");
        return REFUSED;
    }
    enum outcome outcome = open_path(search, folder);
    if (outcome == ABSENT) {
        note_tried(search, folder);
    }
    return outcome;
}

static enum outcome try_list(struct search *search, char *const *folders)
{
    enum outcome outcome = ABSENT;
    for (size_t i = 0; folders != NULL && folders[i] != NULL && outcome == ABSENT; i++) {
        outcome = try_folder(search, folders[i], "the plugin path");
    }
    return outcome;
}

/* An empty element names no folder; to other programs it is the current one, which is never searched. */
static enum outcome try_environment(struct search *search)
{
    const char *list = secure_getenv(PATH_VARIABLE);
    if (list == NULL) {
        return ABSENT;
    }
    char *copy = cp_text_copy(list);
    if (copy == NULL) {
        (void)cp_error_no_memory(search->error, PATH_VARIABLE);
        return REFUSED;
    }
    enum outcome outcome = ABSENT;
    char *rest = copy;
    for (char *folder = strsep(&rest, ":"); folder != NULL && outcome == ABSENT; folder = strsep(&rest, ":")) {
        if (folder[0] != '\0') {
            outcome = try_folder(search, folder, PATH_VARIABLE);
        }
    }
    cp_free(copy);
    return outcome;
}

static bool open_by_name(struct search *search, const char *name, char *const *folders)
{
    if (!cp_plugin_name_valid(name)) {
        return cp_plugin_refuse(search->error, "", 0,
                                "expected a name " CP_PLUGIN_NAME_RULE " or the absolute path of a file, found '%s'",
                                name);
    }
    (void)snprintf(search->file->name, sizeof(search->file->name), "%s", name);
    enum outcome outcome = try_list(search, folders);
    if (outcome == ABSENT) {
        outcome = try_environment(search);
    }
    if (outcome == ABSENT) {
        outcome = try_folder(search, connpool_plugin_folder(), "the installed folder");
    }
    if (outcome == ABSENT) {
        return cp_plugin_refuse(search->error, "", 0, "'%s': expected connpool_%s.so, found none in: %s", name, name,
                                search->tried);
    }
    return outcome == FOUND;
}

static bool open_by_path(struct search *search, const char *path)
{
    struct cp_plugin_file *file = search->file;
    const char *base = strrchr(path, '/') + 1;
    if (!cp_plugin_name_of_file(base, file->name)) {
        return cp_plugin_refuse(search->error, path, 0,
                                "file name: expected connpool_NAME.so with a NAME " CP_PLUGIN_NAME_RULE ", found '%s'",
                                base);
    }
    file->path = cp_text_copy(path);
    char *folder = cp_text_copy_length(path, (size_t)(base - path));
    enum outcome outcome = REFUSED;
    if (file->path == NULL || folder == NULL) {
        (void)cp_error_no_memory(search->error, "the path of a plugin");
    } else {
        outcome = open_path(search, folder);
    }
    cp_free(folder);
    if (outcome == ABSENT) {
        return cp_plugin_refuse(search->error, path, ENOENT, "cannot open");
    }
    return outcome == FOUND;
}

bool cp_plugin_file_open(struct cp_plugin_file *file, const char *name, const struct cp_plugin_search *search,
                         connpool_error *error)
{
    *file = (struct cp_plugin_file){.descriptor = -1};
    struct search state = {
        .file = file, .any_owner = (search->flags & CONNPOOL_OPEN_TRUST_ANY_OWNER) != 0, .error = error};
    bool found = name[0] == '/' ? open_by_path(&state, name) : open_by_name(&state, name, search->folders);
    if (!found) {
        cp_plugin_file_close(file);
    }
    return found;
}

bool cp_plugin_file_unchanged(const struct cp_plugin_file *file, connpool_error *error)
{
    struct stat status;
    if (lstat(file->path, &status) == -1) {
        return cp_plugin_refuse(error, file->path, errno, "the file went away while it was loaded");
    }
    if (status.st_dev == file->device && status.st_ino == file->inode) {
        return true;
    }
    return cp_plugin_refuse(error, file->path, 0,
                            "the file was replaced while it was loaded: expected inode %llu, found %llu",
                            (unsigned long long)file->inode, (unsigned long long)status.st_ino);
}

void cp_plugin_file_close(struct cp_plugin_file *file)
{
    if (file->descriptor != -1) {
        (void)close(file->descriptor);
    }
    cp_free(file->path);
    *file = (struct cp_plugin_file){.descriptor = -1};
}
