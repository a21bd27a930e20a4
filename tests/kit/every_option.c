/* SPDX-License-Identifier: MIT */
/* every_option: see every_option.h. */
#include "every_option.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct every_options, member)
#define POOL         CONNPOOL_LEVEL_POOL
#define ENDPOINT     CONNPOOL_LEVEL_ENDPOINT
#define BOTH         CONNPOOL_LEVEL_BOTH
#define REQUIRED     CONNPOOL_OPTION_REQUIRED
#define SHARED       CONNPOOL_OPTION_SHARED

static const char *const modes[] = {"plain", "strict", "loose", NULL};
static const char *const refused[] = {"password", "host", NULL};

static const struct connpool_option rows[] = {
    {"host", "where", BOTH, CONNPOOL_TYPE_STRING, REQUIRED, AT(host), NULL, "1", "253", NULL},
    {"port", "which door", BOTH, CONNPOOL_TYPE_INTEGER, 0, AT(port), "7", "1", "65535", NULL},
    {"any_integer", "no limits", BOTH, CONNPOOL_TYPE_INTEGER, 0, AT(any_integer), NULL, NULL, NULL, NULL},
    {"ratio", "a part", BOTH, CONNPOOL_TYPE_NUMBER, 0, AT(ratio), "0.5", "0", "1", NULL},
    {"verify", "yes or no", BOTH, CONNPOOL_TYPE_BOOLEAN, 0, AT(verify), "true", NULL, NULL, NULL},
    {"mode", "how", BOTH, CONNPOOL_TYPE_CHOICE, 0, AT(mode), "strict", NULL, NULL, modes},
    {"patience", "how long", BOTH, CONNPOOL_TYPE_DURATION, 0, AT(patience), "1.5", "0.1", "3600", NULL},
    {"buffer", "how much", BOTH, CONNPOOL_TYPE_SIZE, 0, AT(buffer), "64KiB", "1", "1GiB", NULL},
    {"certificate", "a file", BOTH, CONNPOOL_TYPE_PATH, 0, AT(certificate), NULL, NULL, NULL, NULL},
    {"tags", "words", BOTH, CONNPOOL_TYPE_LIST, 0, AT(tags), NULL, NULL, "3", NULL},
    {"password", "the secret", BOTH, CONNPOOL_TYPE_SECRET, 0, AT(password), NULL, "4", NULL, NULL},
    {"keywords", "passed on", BOTH, CONNPOOL_TYPE_MAP, 0, AT(keywords), NULL, NULL, NULL, refused},
    {"authority", "for the whole pool", POOL, CONNPOOL_TYPE_PATH, SHARED, AT(authority), NULL, NULL, NULL, NULL},
    {"shared_note", "read once", BOTH, CONNPOOL_TYPE_STRING, SHARED, AT(shared_note), NULL, NULL, NULL, NULL},
    {"note", "for one endpoint", ENDPOINT, CONNPOOL_TYPE_STRING, 0, AT(note), NULL, NULL, "20", NULL},
};

static int32_t open_connection(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static void destroy(void *connection)
{
    (void)connection;
}

/* What stands behind a "!": option=value. */
static int32_t parse_assignment(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    char option[32] = "";
    size_t length = strcspn(text, "=");

    memcpy(option, text, length < sizeof(option) ? length : sizeof(option) - 1);
    return set(context, option, text + length + 1, strlen(text + length + 1), fault);
}

static int32_t parse_endpoint(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    const char *rest = strchr(text, '!');
    size_t length = strcspn(text, ":!");
    int32_t result = length == 0 ? 0 : set(context, "host", text, length, fault);

    if (result == 0 && text[length] == ':') {
        result = set(context, "port", text + length + 1, strcspn(text + length + 1, "!"), fault);
    }
    return result == 0 && rest != NULL ? parse_assignment(rest + 1, set, context, fault) : result;
}

#define TABLE(title)                                                                                                   \
    .magic = CONNPOOL_MANAGER_MAGIC, .abi_major = CONNPOOL_ABI_MAJOR, .abi_minor = CONNPOOL_ABI_MINOR,                 \
    .size = sizeof(struct connpool_manager), .name = (title), .version = "1", .summary = "for tests",                  \
    .connection_size = sizeof(struct connpool_head), .open = open_connection, .destroy = destroy

#define OPTIONS                                                                                                        \
    .options = rows, .option_count = COUNT(rows), .option_stride = sizeof(rows[0]),                                    \
    .options_size = sizeof(struct every_options)

const struct connpool_manager every_option_manager = {TABLE("every"), OPTIONS, .parse_endpoint = parse_endpoint};
const struct connpool_manager named_only_manager = {TABLE("named"), OPTIONS};
const struct connpool_manager bare_manager = {TABLE("bare")};
