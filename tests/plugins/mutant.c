/* SPDX-License-Identifier: MIT */
/*
 * The plugin of the loader's tests: whole as it stands, and each member can be replaced when it is compiled, so that
 * one wrong member makes one mutant. It counts how often it was loaded; get_extension gives the numbers out.
 */
#include <connpool/manager.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exported by every mutant, each with its own value: no plugin may see another's (E14). */
CONNPOOL_MANAGER_EXPORT extern int32_t connpool_test_number;
int32_t connpool_test_number = NUMBER;

static int32_t loads;

#ifdef MARK
/* What runs before any of our checks can look at the table (E22). */
__attribute__((constructor)) static void leave_mark(void)
{
    const char *path = getenv("CONNPOOL_TEST_MARK");
    int descriptor = path == NULL ? -1 : open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor != -1) {
        (void)close(descriptor);
    }
}
#endif

#ifdef REPLACE
/* Somebody replaces the file between the checks and the load (E21). */
__attribute__((constructor)) static void replace_file(void)
{
    const char *newer = getenv("CONNPOOL_TEST_NEWER");
    const char *older = getenv("CONNPOOL_TEST_OLDER");
    if (newer != NULL && older != NULL) {
        (void)rename(newer, older);
    }
}
#endif

struct connection {
    struct connpool_head head;
};

__attribute__((unused)) static int32_t count_load(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)fault;
    loads++;
    return host != NULL && host->size >= sizeof(*host) && host->log != NULL ? 0 : -CONNPOOL_ERROR_INTERNAL;
}

/* The first load fails with a reason, later ones succeed. */
__attribute__((unused)) static int32_t fail_first_load(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)host;
    if (++loads > 1) {
        return 0;
    }
    fault->error_class = CONNPOOL_ERROR_RESOURCE_LOCAL;
    strncpy(fault->text, "the machine has no such device", sizeof(fault->text) - 1);
    return -CONNPOOL_ERROR_RESOURCE_LOCAL;
}

__attribute__((unused)) static int32_t fail_silently(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)host;
    (void)fault;
    return -CONNPOOL_ERROR_INTERNAL;
}

__attribute__((unused)) static int32_t finish(void *connection, struct connpool_wait *wait,
                                              struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

#ifdef UNDEFINED
int32_t connpool_test_nowhere(void);

static int32_t call_nowhere(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return connpool_test_nowhere();
}
#endif

__attribute__((unused)) static void forget(void *connection)
{
    (void)connection;
}

static const void *get_extension(const char *id)
{
    if (strcmp(id, "test.loads/1") == 0) {
        return &loads;
    }
    return strcmp(id, "test.number/1") == 0 ? &connpool_test_number : NULL;
}

struct options {
    const char *word;
};

__attribute__((unused)) static const struct connpool_option rows[] = {
    {.name = ROW_NAME,
     .help = "A word",
     .level = CONNPOOL_LEVEL_BOTH,
     .type = CONNPOOL_TYPE_STRING,
     .offset = offsetof(struct options, word)},
};

CONNPOOL_MANAGER_EXPORT extern const struct connpool_manager connpool_manager;
const struct connpool_manager connpool_manager = {
    .magic = MAGIC,
    .abi_major = MAJOR,
    .abi_minor = MINOR,
    .size = SIZE,
    .name = NAME,
    .version = VERSION,
    .summary = SUMMARY,
    .options = ROWS,
    .option_count = ROW_COUNT,
    .option_stride = ROW_STRIDE,
    .options_size = sizeof(struct options),
    .connection_size = CONNECTION_SIZE,
    .load = LOAD,
    .open = OPEN,
    .destroy = DESTROY,
    .get_extension = get_extension,
};
