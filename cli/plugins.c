/* SPDX-License-Identifier: MIT */
/* plugins: `connpool plugins [DIR]`: the plugins of a folder, or of each folder that is searched, and why those that do
 * not load are refused. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "output.h"

#define PREFIX "connpool_"
#define SUFFIX ".so"

/* The file names of a folder in alphabetical order, by a look through the folder for each: there are few. */
struct listing {
    DIR *folder;
    char name[NAME_MAX + 1];
};

struct tally {
    size_t loaded, refused;
};

static bool is_plugin_name(const char *name)
{
    size_t length = strlen(name);

    return length > strlen(PREFIX SUFFIX) && strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
           strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* Moves to the next name; false: there is none. */
static bool listing_next(struct listing *listing)
{
    char next[NAME_MAX + 1] = "";
    const struct dirent *entry;

    rewinddir(listing->folder);
    while ((entry = readdir(listing->folder)) != NULL) {
        if (is_plugin_name(entry->d_name) && strcmp(entry->d_name, listing->name) > 0 &&
            (next[0] == '\0' || strcmp(entry->d_name, next) < 0)) {
            (void)snprintf(next, sizeof(next), "%s", entry->d_name);
        }
    }
    memcpy(listing->name, next, sizeof(next));
    return next[0] != '\0';
}

static void print_plugin(const struct connpool_manager *manager, const char *name)
{
    printf("  ");
    output_column(OUTPUT_STRONG, manager->name, 16);
    printf(" ");
    output_column(OUTPUT_PLAIN, manager->version, 10);
    printf(" ");
    output_column(OUTPUT_DIM, name, 28);
    printf(" ");
    output_styled(OUTPUT_PLAIN, manager->summary);
    printf("\n");
}

static void print_refusal(const char *name, const connpool_error *error)
{
    printf("  ");
    output_column(OUTPUT_BAD, "refused", 27);
    printf(" ");
    output_styled(OUTPUT_DIM, name);
    printf("\n      ");
    output_styled(OUTPUT_PLAIN, error->text);
    printf("\n");
}

static void load(const char *folder, const char *name, uint32_t flags, struct tally *tally)
{
    const struct connpool_manager *manager;
    connpool_error error;
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
        error = (connpool_error){.text = "the path is too long"};
    } else if (connpool_plugin_load(path, NULL, flags, &manager, &error) == CONNPOOL_OK) {
        print_plugin(manager, name);
        tally->loaded++;
        return;
    }
    print_refusal(name, &error);
    tally->refused++;
}

/* False: the folder cannot be read; errno says why. */
static bool list(const char *folder, uint32_t flags, struct tally *tally)
{
    struct listing listing = {.folder = opendir(folder)};
    size_t before = tally->loaded + tally->refused;

    if (listing.folder == NULL) {
        return false;
    }
    output_styled(OUTPUT_STRONG, folder);
    printf("\n");
    while (listing_next(&listing)) {
        load(folder, listing.name, flags, tally);
    }
    if (tally->loaded + tally->refused == before) {
        output_styled(OUTPUT_DIM, "  no plugins");
        printf("\n");
    }
    (void)closedir(listing.folder);
    return true;
}

/* A folder of the search: one that does not exist is nothing special there. */
static void list_searched(const char *folder, uint32_t flags, struct tally *tally)
{
    if (!list(folder, flags, tally)) {
        int failure = errno;

        output_styled(OUTPUT_STRONG, folder);
        printf("\n  ");
        output_styled(OUTPUT_DIM, failure == ENOENT ? "(no such folder)" : strerror(failure));
        printf("\n");
    }
}

/* The folders of CONNPOOL_PLUGIN_PATH, which are parted by colons. */
static void list_variable(uint32_t flags, struct tally *tally)
{
    const char *rest = secure_getenv("CONNPOOL_PLUGIN_PATH");
    char folder[PATH_MAX];

    while (rest != NULL && *rest != '\0') {
        size_t length = strcspn(rest, ":");

        if (length > 0 && length < sizeof(folder)) {
            memcpy(folder, rest, length);
            folder[length] = '\0';
            list_searched(folder, flags, tally);
        }
        rest += length + (rest[length] == ':');
    }
}

static void list_search_path(const struct arguments *arguments, struct tally *tally)
{
    for (size_t i = 0; arguments->folders[i] != NULL; i++) {
        list_searched(arguments->folders[i], arguments->flags, tally);
    }
    list_variable(arguments->flags, tally);
    list_searched(connpool_plugin_folder(), arguments->flags, tally);
}

int plugins_run(const struct arguments *arguments, char **operands, size_t count)
{
    struct tally tally = {0, 0};
    char folder[PATH_MAX];

    if (count == 0) {
        list_search_path(arguments, &tally);
    } else if (realpath(operands[0], folder) == NULL || !list(folder, arguments->flags, &tally)) {
        output_complain("%s: %s", operands[0], strerror(errno));
        return COMMAND_FAILED;
    }
    return tally.refused == 0 ? COMMAND_OK : COMMAND_FAILED;
}
