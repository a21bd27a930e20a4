/* SPDX-License-Identifier: MIT */
/*
 * plugin: see plugin.h. Two lists, both guarded by one lock that is held while a file is loaded, so that constructors
 * and `load` run once at a time: the objects that dlopen gave, and the tables that were adopted.
 */
#include "plugin/plugin.h"

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "network/host.h"
#include "options/options.h"
#include "plugin/elf_check.h"
#include "plugin/plugin_file.h"
#include "plugin/plugin_object.h"
#include "plugin/plugin_refusal.h"
#include "plugin/plugin_table.h"

/* A table and its copy. */
struct adopted {
    const struct connpool_manager *source;
    struct connpool_manager *copy;
    SLIST_ENTRY(adopted) next;
};

/* A file that was loaded, also if it was refused then. Its inode stays in use while it is mapped, for ever. */
struct object {
    void *handle;
    dev_t device;
    ino_t inode;
    const struct connpool_manager *manager; /* NULL: refused */
    SLIST_ENTRY(object) next;
};

/* A lock that tells the thread that holds it: a plugin's load or constructor that comes back here gets an error. */
static pthread_mutex_t registry_lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static SLIST_HEAD(, adopted) all_adopted = SLIST_HEAD_INITIALIZER(all_adopted);
static SLIST_HEAD(, object) all_objects = SLIST_HEAD_INITIALIZER(all_objects);

static struct cp_host load_host; /* what every load gets; lives for ever */
static bool load_host_is_ready;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* A thread of the parent's may have been loading a file: nobody would give its lock in the child. What is in the lists
 * is whole, as an entry is linked in by its last write. */
static void renew_lock_in_child(void)
{
    registry_lock = (pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
}

static void prepare_for_fork(void)
{
    (void)pthread_atfork(NULL, NULL, renew_lock_in_child);
}

static bool lock_registry(const char *origin, connpool_error *error)
{
    cp_memory_keep_allocator();
    (void)pthread_once(&fork_once, prepare_for_fork);
    int result = pthread_mutex_lock(&registry_lock);
    return result == 0 || cp_plugin_refuse(error, origin, result,
                                           "a plugin cannot be loaded while another one is loaded by this thread");
}

static void unlock_registry(void)
{
    (void)pthread_mutex_unlock(&registry_lock);
}

/* error is not NULL, as everywhere under the lock. */
static bool run_load(const struct connpool_manager *copy, const char *origin, connpool_error *error)
{
    struct connpool_fault fault;
    cp_fault_init(&fault);
    if (!load_host_is_ready) {
        cp_host_init(&load_host, NULL);
        load_host_is_ready = true;
    }
    int32_t result = copy->load(&load_host.table, &fault);
    if (result == 0) {
        return true;
    }
    const char *reason = fault.error_class == 0 ? "no reason" : fault.text;
    (void)cp_plugin_refuse(error, origin, 0, "load: expected 0, found %d: %.*s", result, (int)sizeof(fault.text),
                           reason);
    if (fault.error_class != 0) {
        error->error_class = fault.error_class;
        error->os_error = fault.os_error;
        error->library_code = fault.library_code;
    }
    return false;
}

static bool check_rows(const struct connpool_manager *copy, const char *origin, connpool_error *error)
{
    connpool_error reason = {0};
    if (cp_options_check_rows(copy, &reason)) {
        return true;
    }
    if (reason.status == CONNPOOL_NO_MEMORY) {
        *error = reason;
        return false;
    }
    return cp_plugin_refuse(error, origin, 0, "%s", reason.text);
}

static bool fill_adopted(struct adopted *adopted, const char *origin, connpool_error *error)
{
    adopted->copy = cp_plugin_table_copy(adopted->source, origin, error);
    if (adopted->copy == NULL) {
        return false;
    }
    if (check_rows(adopted->copy, origin, error) && run_load(adopted->copy, origin, error)) {
        return true;
    }
    cp_plugin_table_free(adopted->copy);
    return false;
}

static const struct connpool_manager *adopt_locked(const struct connpool_manager *manager, const char *origin,
                                                   connpool_error *error)
{
    struct adopted *adopted;
    SLIST_FOREACH (adopted, &all_adopted, next) {
        if (adopted->source == manager) {
            return adopted->copy;
        }
    }
    adopted = cp_alloc(sizeof(*adopted));
    if (adopted == NULL) {
        (void)cp_error_no_memory(error, "a manager");
        return NULL;
    }
    adopted->source = manager;
    if (!fill_adopted(adopted, origin, error)) {
        cp_free(adopted);
        return NULL;
    }
    SLIST_INSERT_HEAD(&all_adopted, adopted, next);
    return adopted->copy;
}

static struct object *find_object(const struct cp_plugin_file *file)
{
    struct object *object;
    SLIST_FOREACH (object, &all_objects, next) {
        if (object->device == file->device && object->inode == file->inode) {
            return object;
        }
    }
    return NULL;
}

/* dlopen knows an object by its path too: after a file was replaced it gives the old one. */
static bool check_handle_is_new(const void *handle, const struct cp_plugin_file *file, connpool_error *error)
{
    const struct object *object;
    SLIST_FOREACH (object, &all_objects, next) {
        if (object->handle == handle) {
            return cp_plugin_refuse(error, file->path, 0,
                                    "the file was replaced since this process loaded it: expected the one that is "
                                    "loaded, found inode %llu (restart the process to use it)",
                                    (unsigned long long)file->inode);
        }
    }
    return true;
}

/* Remember what dlopen gave. Where the path changed meanwhile, nobody knows which file it is: inode 0 is no file's. */
static bool record_object(struct object *object, const struct cp_plugin_file *file, connpool_error *error)
{
    if (!check_handle_is_new(object->handle, file, error)) {
        return false;
    }
    SLIST_INSERT_HEAD(&all_objects, object, next);
    if (cp_plugin_file_unchanged(file, error)) {
        object->device = file->device;
        object->inode = file->inode;
    }
    return true;
}

static struct object *open_object(const struct cp_plugin_file *file, connpool_error *error)
{
    struct object *object = cp_alloc(sizeof(*object));
    if (object == NULL) {
        (void)cp_error_no_memory(error, "a plugin");
        return NULL;
    }
    object->handle = cp_plugin_object_open(file->path, error);
    if (object->handle == NULL || !record_object(object, file, error)) {
        cp_free(object);
        return NULL;
    }
    return object->inode == 0 ? NULL : object;
}

/* The manager of an object, once its table was accepted. */
static const struct connpool_manager *manager_of(struct object *object, const char *path, connpool_error *error)
{
    if (object->manager == NULL) {
        const struct connpool_manager *table = cp_plugin_object_table(object->handle, path, error);
        object->manager = table == NULL ? NULL : adopt_locked(table, path, error);
    }
    return object->manager;
}

static const struct connpool_manager *load_locked(const struct cp_plugin_file *file, connpool_error *error)
{
    struct object *object = find_object(file);
    if (object == NULL) {
        object = open_object(file, error);
    }
    const struct connpool_manager *manager = object == NULL ? NULL : manager_of(object, file->path, error);
    if (manager != NULL && strcmp(manager->name, file->name) != 0) {
        (void)cp_plugin_refuse(error, file->path, 0, "name: expected '%s' as in the file's name, found '%s'",
                               file->name, manager->name);
        return NULL;
    }
    return manager;
}

static const struct connpool_manager *load_file(const struct cp_plugin_file *file, connpool_error *error)
{
    if (!cp_elf_check(file->descriptor, file->path, error) || !lock_registry(file->path, error)) {
        return NULL;
    }
    const struct connpool_manager *manager = load_locked(file, error);
    unlock_registry();
    return manager;
}

const struct connpool_manager *cp_plugin_load(const char *name, const struct cp_plugin_search *search,
                                              connpool_error *error)
{
    struct cp_plugin_file file;
    connpool_error reason = {0}; /* of a folder that was passed over, where the search succeeds after all */
    const struct connpool_manager *manager = NULL;
    if (cp_plugin_file_open(&file, name, search, &reason)) {
        manager = load_file(&file, &reason);
        cp_plugin_file_close(&file);
    }
    if (manager == NULL && error != NULL) {
        *error = reason;
    }
    return manager;
}

const struct connpool_manager *cp_plugin_adopt(const struct connpool_manager *manager, const char *origin,
                                               connpool_error *error)
{
    connpool_error reason = {0};
    const struct connpool_manager *copy = NULL;
    if (lock_registry(origin, &reason)) {
        copy = adopt_locked(manager, origin, &reason);
        unlock_registry();
    }
    if (copy == NULL && error != NULL) {
        *error = reason;
    }
    return copy;
}

connpool_status connpool_plugin_load(const char *name, char *const *folders, uint32_t flags,
                                     const struct connpool_manager **manager, connpool_error *error)
{
    struct cp_plugin_search search = {.folders = folders, .flags = flags};
    connpool_error reason;
    if (name == NULL || manager == NULL) {
        return cp_error_set(error, CONNPOOL_INVALID, 0,
                            "connpool_plugin_load: expected a name and an output, found NULL");
    }
    if ((flags & ~CONNPOOL_OPEN_TRUST_ANY_OWNER) != 0) {
        return cp_error_set(error, CONNPOOL_INVALID, 0, "connpool_plugin_load: flags: expected 0 or %u, found %u",
                            CONNPOOL_OPEN_TRUST_ANY_OWNER, flags);
    }
    const struct connpool_manager *loaded = cp_plugin_load(name, &search, &reason);
    if (loaded == NULL) {
        if (error != NULL) {
            *error = reason;
        }
        return reason.status;
    }
    *manager = loaded;
    return CONNPOOL_OK;
}
