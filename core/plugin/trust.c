/* SPDX-License-Identifier: MIT */
/* trust: see trust.h. */
#include "plugin/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/plugin_refusal.h"

/* As the kernel: path_resolution(7), MAXSYMLINKS. */
#define MOST_LINKS 40

/* A path being resolved: the folder that is open, and what is left to walk. */
struct walk {
    const char *file; /* what is wanted from the folder, for messages */
    int folder;
    bool any_owner;
    int links;
    char component[NAME_MAX + 1];
    char rest[2 * PATH_MAX];
    connpool_error *error;
};

static bool is_trusted_owner(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

static bool refuse_owner(const char *path, const char *what, uid_t owner, connpool_error *error)
{
    return cp_plugin_refuse(error, path, 0, "%s: expected to belong to root or user %u, found user %u", what,
                            (unsigned)geteuid(), (unsigned)owner);
}

bool cp_trust_check_file(const char *path, const struct stat *status, connpool_error *error)
{
    if (!is_trusted_owner(status->st_uid)) {
        return refuse_owner(path, "file", status->st_uid, error);
    }
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return cp_plugin_refuse(error, path, 0, "file: expected not to be writable by group or others, found mode %04o",
                                (unsigned)status->st_mode & 07777);
    }
    return true;
}

static bool check_folder(const struct walk *walk, const struct stat *status)
{
    const char *name = walk->component[0] == '\0' ? "/" : walk->component;
    char what[NAME_MAX + 16];
    (void)snprintf(what, sizeof(what), "folder '%s'", name);
    if (walk->any_owner) {
        return true;
    }
    if (!is_trusted_owner(status->st_uid)) {
        return refuse_owner(walk->file, what, status->st_uid, walk->error);
    }
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status->st_mode & S_ISVTX) == 0) {
        return cp_plugin_refuse(walk->error, walk->file, 0,
                                "%s: expected not to be writable by group or others unless sticky, found mode %04o",
                                what, (unsigned)status->st_mode & 07777);
    }
    return true;
}

/* The first component leaves rest. False: it is longer than any file's name. */
static bool take_component(struct walk *walk)
{
    const char *begin = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(begin, "/");
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(walk->component, begin, length);
    walk->component[length] = '\0';
    memmove(walk->rest, begin + length, strlen(begin + length) + 1);
    return true;
}

/* Go on from that folder; the walk owns the descriptor. */
static bool enter(struct walk *walk, int folder)
{
    struct stat status;
    if (walk->folder != -1) {
        (void)close(walk->folder);
    }
    walk->folder = folder;
    if (fstat(folder, &status) == -1) {
        return cp_plugin_refuse(walk->error, walk->file, errno, "folder '%s'", walk->component);
    }
    return check_folder(walk, &status);
}

static bool enter_root(struct walk *walk)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    walk->component[0] = '\0';
    if (root == -1) {
        return cp_plugin_refuse(walk->error, walk->file, errno, "cannot open /");
    }
    return enter(walk, root);
}

/* Put a symbolic link's target before what is left. */
static bool follow(struct walk *walk, int link, const struct stat *status)
{
    char target[PATH_MAX];
    if (!walk->any_owner && !is_trusted_owner(status->st_uid)) {
        return refuse_owner(walk->file, "symbolic link", status->st_uid, walk->error);
    }
    ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);
    if (length == -1) {
        return cp_plugin_refuse(walk->error, walk->file, errno, "cannot read the symbolic link '%s'", walk->component);
    }
    size_t left = strlen(walk->rest);
    if (++walk->links > MOST_LINKS || (size_t)length + left + 1 > sizeof(walk->rest)) {
        return cp_plugin_refuse(walk->error, walk->file, ELOOP, "symbolic link '%s'", walk->component);
    }
    memmove(walk->rest + length, walk->rest, left + 1);
    memcpy(walk->rest, target, (size_t)length);
    return target[0] != '/' || enter_root(walk);
}

static bool step(struct walk *walk, bool *missing)
{
    struct stat status;
    int next = openat(walk->folder, walk->component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next == -1 || fstat(next, &status) == -1) {
        int failure = errno;
        *missing = failure == ENOENT;
        if (next != -1) {
            (void)close(next);
        }
        return cp_plugin_refuse(walk->error, walk->file, failure, "folder '%s'", walk->component);
    }
    if (S_ISLNK(status.st_mode)) {
        bool followed = follow(walk, next, &status);
        (void)close(next);
        return followed;
    }
    if (!S_ISDIR(status.st_mode)) {
        (void)close(next);
        *missing = true;
        return cp_plugin_refuse(walk->error, walk->file, ENOTDIR, "'%s'", walk->component);
    }
    return enter(walk, next);
}

int cp_trust_open_folder(const char *path, const char *file, bool any_owner, bool *missing, connpool_error *error)
{
    struct walk walk = {.file = file, .folder = -1, .any_owner = any_owner, .error = error};
    size_t length = strlen(path);
    *missing = false;
    if (length >= PATH_MAX) {
        (void)cp_plugin_refuse(error, file, ENAMETOOLONG, "folder");
        return -1;
    }
    memcpy(walk.rest, path, length + 1);

    bool good = enter_root(&walk);
    while (good) {
        if (!take_component(&walk)) {
            good = cp_plugin_refuse(error, file, errno, "folder");
        } else if (walk.component[0] == '\0') {
            return walk.folder;
        } else {
            good = step(&walk, missing);
        }
    }
    if (walk.folder != -1) {
        (void)close(walk.folder);
    }
    return -1;
}
