/* SPDX-License-Identifier: MIT */
/* stage: see stage.h. The stage itself: options, heads, host, and the record of a connection. */
#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/token.h"
#include "plugin/plugin.h"
#include "setting.h"

static const struct cp_log no_log;

const struct connpool_manager *stage_manager(const struct conform_subject *subject)
{
    char folder[512] = "";
    char *const folders[] = {folder, NULL};
    const struct cp_plugin_search search = {.folders = folders, .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER};
    connpool_error error = {.text = ""};
    const struct connpool_manager *manager;

    if (subject->table != NULL) {
        manager = cp_plugin_adopt(subject->table, subject->manager, &error);
    } else {
        CONFORM(strlen(subject->folder) < sizeof(folder), "the plugin's folder has too long a name");
        memcpy(folder, subject->folder, strlen(subject->folder) + 1);
        manager = cp_plugin_load(subject->manager, &search, &error);
    }
    CONFORM(manager != NULL, "%s", error.text);
    return manager;
}

/* Takes the objects over. */
static struct cp_option_block *resolve(const struct stage *stage, json_t *options, json_t *endpoint)
{
    const struct cp_option_source source = {.folder = "/"};
    struct cp_mistakes mistakes = {.origin = "subject"};
    struct cp_option_block *block;

    block = cp_options_resolve(stage->manager, options, "/options", endpoint, "/endpoint", true, &source, &mistakes);
    CONFORM(block != NULL, "%s", mistakes.first);
    json_decref(options);
    json_decref(endpoint);
    return block;
}

static struct connpool_head *new_state(struct stage *stage, uint32_t size, void *parent)
{
    struct connpool_head *head = calloc(1, size);

    CONFORM(head != NULL, "out of memory");
    *head = (struct connpool_head){
        .host = &stage->host.table, .options = cp_options_struct(stage->options), .parent = parent};
    return head;
}

static int64_t read_clock(void *argument, uint32_t which)
{
    static const struct cp_clock clock_of_system;
    const struct stage *stage = argument;

    (void)which;
    return cp_clock_precise(&clock_of_system) + atomic_load(&stage->lead);
}

int64_t stage_now(const struct stage *stage)
{
    return cp_clock_precise(&stage->clock);
}

void stage_open(struct stage *stage, const struct conform_subject *subject, json_t *endpoint)
{
    struct connpool_fault fault;

    *stage = (struct stage){.subject = subject, .manager = stage_manager(subject)};
    stage->clock.replaced =
        (struct connpool_clock){.size = sizeof(struct connpool_clock), .argument = stage, .now = read_clock};
    stage->services = cp_services_new(&stage->clock, &no_log, 2, 2);
    CONFORM(stage->services != NULL, "out of memory");
    cp_host_init(&stage->host, stage->services);
    stage->options = resolve(stage, setting_options(subject), endpoint == NULL ? setting_endpoint(subject) : endpoint);
    cp_fault_init(&fault);
    if (stage->manager->pool_size > 0) {
        stage->pool = new_state(stage, stage->manager->pool_size, NULL);
        CONFORM(stage->manager->pool_init(stage->pool, &fault) == 0, "pool_init: %s", fault.text);
    }
    if (stage->manager->endpoint_size > 0) {
        stage->endpoint = new_state(stage, stage->manager->endpoint_size, stage->pool);
        CONFORM(stage->manager->endpoint_init(stage->endpoint, &fault) == 0, "endpoint_init: %s", fault.text);
    }
}

void stage_close(struct stage *stage)
{
    if (stage->endpoint != NULL) {
        stage->manager->endpoint_fini(stage->endpoint);
    }
    if (stage->pool != NULL) {
        stage->manager->pool_fini(stage->pool);
    }
    free(stage->endpoint);
    free(stage->pool);
    cp_options_unref(stage->options);
    cp_host_fini(&stage->host);
    cp_services_close(stage->services);
    cp_services_unref(stage->services);
}

/* ---- Connections ---- */

static void wake(struct cp_waker *waker)
{
    struct stage_connection *connection =
        (void *)((char *)waker - offsetof(struct stage_connection, waker)); /* stays until stage_destroy */

    (void)eventfd_write(connection->event, 1);
}

/* The stage's own reference is the last: the token's is given back before. */
static void dispose(struct cp_waker *waker)
{
    (void)waker;
}

void stage_connect(struct stage *stage, struct stage_connection *connection)
{
    memset(connection, 0, sizeof(*connection));
    connection->stage = stage;
    connection->state = new_state(stage, stage->manager->connection_size, stage->endpoint);
    connection->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CONFORM(connection->event >= 0, "no eventfd: %s", strerror(errno));
    cp_waker_init(&connection->waker, wake, dispose);
    connection->token = cp_token_new();
    CONFORM(connection->token != 0, "out of memory");
    cp_token_arm(connection->token, &connection->waker);
}

void stage_destroy(struct stage_connection *connection)
{
    if (connection->is_made) {
        connection->stage->manager->destroy(connection->state);
    }
    cp_token_free(connection->token);
    (void)close(connection->event);
    free(connection->state);
    connection->state = NULL;
}

/* ---- Descriptors ---- */

/* For one connection: its socket, a second one while it is dialled, the stage's eventfd. */
#define DESCRIPTORS_EACH 3
#define DESCRIPTORS_MORE 100

size_t stage_permitted(const struct conform_subject *subject, size_t most)
{
    struct rlimit limit;
    size_t count = subject->connections < most ? subject->connections : most;

    CONFORM(getrlimit(RLIMIT_NOFILE, &limit) == 0, "the limit of descriptors cannot be read");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < count * DESCRIPTORS_EACH + DESCRIPTORS_MORE) {
        count = (limit.rlim_max - DESCRIPTORS_MORE) / DESCRIPTORS_EACH;
    }
    return count;
}

void stage_list_descriptors(struct stage_descriptors *descriptors)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;

    CONFORM(folder != NULL, "/proc/self/fd: %s", strerror(errno));
    descriptors->count = 0;
    while ((entry = readdir(folder)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && fd != dirfd(folder)) {
            CONFORM(descriptors->count < sizeof(descriptors->fd) / sizeof(descriptors->fd[0]), "too many descriptors");
            descriptors->fd[descriptors->count++] = fd;
        }
    }
    (void)closedir(folder);
}

size_t stage_count_descriptors(void)
{
    struct stage_descriptors descriptors;

    stage_list_descriptors(&descriptors);
    return descriptors.count;
}

bool stage_holds(const struct stage_descriptors *descriptors, int fd)
{
    for (size_t i = 0; i < descriptors->count; i++) {
        if (descriptors->fd[i] == fd) {
            return true;
        }
    }
    return false;
}
