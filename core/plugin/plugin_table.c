/* SPDX-License-Identifier: MIT */
/* plugin_table: see plugin_table.h. */
#include "plugin/plugin_table.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "plugin/plugin_name.h"
#include "plugin/plugin_refusal.h"

/* Magic, ABI and size: frozen for ever. */
#define HEAD_SIZE offsetof(struct connpool_manager, name)
/* The end of the last required member. */
#define LEAST_SIZE (offsetof(struct connpool_manager, destroy) + sizeof(void (*)(void *)))
/* Far above what a table can grow to: a larger number is a mistake. The same for the others. */
#define MOST_SIZE       65536
#define MOST_STRIDE     4096
#define MOST_ROWS       1024
#define MOST_STATE_SIZE (16u << 20)
#define MOST_TEXT       256
/* Name, help, level, type, flags, offset: a row without them says nothing. */
#define LEAST_STRIDE offsetof(struct connpool_option, default_text)

#define ALL_BLOCKING_BITS                                                                                              \
    (CONNPOOL_BLOCKING_OPEN | CONNPOOL_BLOCKING_CHECK | CONNPOOL_BLOCKING_PREPARE | CONNPOOL_BLOCKING_RESET |          \
     CONNPOOL_BLOCKING_IDLE | CONNPOOL_BLOCKING_CLOSE)

#define MEMBER(member, is_function, is_required)                                                                       \
    {                                                                                                                  \
#member, offsetof(struct connpool_manager, member), is_function, is_required                                   \
    }
const struct cp_plugin_pointer cp_plugin_table_pointers[] = {
    MEMBER(name, false, true),           MEMBER(version, false, true),       MEMBER(summary, false, true),
    MEMBER(options, false, false),       MEMBER(load, true, false),          MEMBER(pool_init, true, false),
    MEMBER(pool_fini, true, false),      MEMBER(endpoint_init, true, false), MEMBER(endpoint_fini, true, false),
    MEMBER(parse_endpoint, true, false), MEMBER(open, true, true),           MEMBER(check, true, false),
    MEMBER(prepare, true, false),        MEMBER(reset, true, false),         MEMBER(idle, true, false),
    MEMBER(close, true, false),          MEMBER(destroy, true, true),        MEMBER(native, true, false),
    MEMBER(descriptors, true, false),    MEMBER(get_extension, true, false), {NULL, 0, false, false},
};

static int32_t default_load(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)host;
    (void)fault;
    return 0;
}

static int32_t default_init(void *state, struct connpool_fault *fault)
{
    (void)state;
    (void)fault;
    return 0;
}

static void default_fini(void *state)
{
    (void)state;
}

static int32_t default_native(void *connection, const char *type, void **out)
{
    (void)connection;
    (void)type;
    (void)out;
    return -CONNPOOL_ERROR_UNSUPPORTED;
}

static const void *default_get_extension(const char *id)
{
    (void)id;
    return NULL;
}

static void fill_defaults(struct connpool_manager *copy)
{
    copy->load = copy->load != NULL ? copy->load : default_load;
    copy->pool_init = copy->pool_init != NULL ? copy->pool_init : default_init;
    copy->pool_fini = copy->pool_fini != NULL ? copy->pool_fini : default_fini;
    copy->endpoint_init = copy->endpoint_init != NULL ? copy->endpoint_init : default_init;
    copy->endpoint_fini = copy->endpoint_fini != NULL ? copy->endpoint_fini : default_fini;
    copy->native = copy->native != NULL ? copy->native : default_native;
    copy->get_extension = copy->get_extension != NULL ? copy->get_extension : default_get_extension;
}

bool cp_plugin_table_check_head(const struct connpool_manager *manager, const char *origin, connpool_error *error)
{
    if (manager->magic != CONNPOOL_MANAGER_MAGIC) {
        return cp_plugin_refuse(error, origin, 0, "magic: expected 0x%016" PRIx64 ", found 0x%016" PRIx64,
                                CONNPOOL_MANAGER_MAGIC, manager->magic);
    }
    if (manager->abi_major != CONNPOOL_ABI_MAJOR) {
        return cp_plugin_refuse(error, origin, 0, "ABI: expected major %d (this library has %d.%d), found %u.%u",
                                CONNPOOL_ABI_MAJOR, CONNPOOL_ABI_MAJOR, CONNPOOL_ABI_MINOR, manager->abi_major,
                                manager->abi_minor);
    }
    if (manager->size < LEAST_SIZE || manager->size > MOST_SIZE ||
        manager->size % _Alignof(struct connpool_manager) != 0) {
        return cp_plugin_refuse(
            error, origin, 0, "size: expected a multiple of %zu from %zu to %d (this library has %zu), found %" PRIu32,
            _Alignof(struct connpool_manager), LEAST_SIZE, MOST_SIZE, sizeof(struct connpool_manager), manager->size);
    }
    return true;
}

static bool check_pointers(const struct connpool_manager *copy, const char *origin, connpool_error *error)
{
    for (const struct cp_plugin_pointer *pointer = cp_plugin_table_pointers; pointer->member != NULL; pointer++) {
        uintptr_t value;
        memcpy(&value, (const char *)copy + pointer->offset, sizeof(value));
        if (pointer->is_required && value == 0) {
            return cp_plugin_refuse(error, origin, 0, "%s: expected %s, found NULL", pointer->member,
                                    pointer->is_function ? "a function" : "text");
        }
    }
    return true;
}

/* One line that may stand in a message or on a terminal. */
static bool check_text(const char *member, const char *text, const char *origin, connpool_error *error)
{
    size_t length = strnlen(text, MOST_TEXT);
    if (length == 0 || length == MOST_TEXT) {
        return cp_plugin_refuse(error, origin, 0, "%s: expected 1 to %d bytes of text, found %s", member, MOST_TEXT - 1,
                                length == 0 ? "none" : "more");
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return cp_plugin_refuse(error, origin, 0, "%s: expected no control character, found byte 0x%02x at %zu",
                                    member, (unsigned char)text[i], i);
        }
    }
    return true;
}

static bool check_name(const char *name, const char *origin, connpool_error *error)
{
    if (cp_plugin_name_valid(name)) {
        return true;
    }
    return cp_plugin_refuse(error, origin, 0, "name: expected " CP_PLUGIN_NAME_RULE ", found '%.*s'",
                            CP_PLUGIN_NAME_SIZE, name);
}

/* State begins with a head; 0 is none, where none is allowed. */
static bool check_state_size(const char *member, uint32_t size, bool is_required, const char *origin,
                             connpool_error *error)
{
    if ((size == 0 && !is_required) || (size >= sizeof(struct connpool_head) && size <= MOST_STATE_SIZE)) {
        return true;
    }
    return cp_plugin_refuse(error, origin, 0, "%s: expected %s%zu to %u bytes, found %" PRIu32, member,
                            is_required ? "" : "0 or ", sizeof(struct connpool_head), MOST_STATE_SIZE, size);
}

static bool check_rows_extent(const struct connpool_manager *copy, const char *origin, connpool_error *error)
{
    if (copy->option_count > MOST_ROWS) {
        return cp_plugin_refuse(error, origin, 0, "option_count: expected at most %d, found %" PRIu32, MOST_ROWS,
                                copy->option_count);
    }
    if (copy->options_size > MOST_STATE_SIZE) {
        return cp_plugin_refuse(error, origin, 0, "options_size: expected at most %u, found %" PRIu32, MOST_STATE_SIZE,
                                copy->options_size);
    }
    if (copy->option_count == 0) {
        return true;
    }
    if (copy->options == NULL) {
        return cp_plugin_refuse(error, origin, 0, "options: expected %" PRIu32 " rows, found NULL", copy->option_count);
    }
    if (copy->option_stride < LEAST_STRIDE || copy->option_stride > MOST_STRIDE ||
        copy->option_stride % _Alignof(struct connpool_option) != 0) {
        return cp_plugin_refuse(
            error, origin, 0,
            "option_stride: expected a multiple of %zu from %zu to %d (this library has %zu), found "
            "%" PRIu32,
            _Alignof(struct connpool_option), LEAST_STRIDE, MOST_STRIDE, sizeof(struct connpool_option),
            copy->option_stride);
    }
    return true;
}

static bool check_members(const struct connpool_manager *copy, const char *origin, connpool_error *error)
{
    return check_pointers(copy, origin, error) && check_name(copy->name, origin, error) &&
           check_text("version", copy->version, origin, error) && check_text("summary", copy->summary, origin, error) &&
           check_state_size("connection_size", copy->connection_size, true, origin, error) &&
           check_state_size("endpoint_size", copy->endpoint_size, false, origin, error) &&
           check_state_size("pool_size", copy->pool_size, false, origin, error) &&
           check_rows_extent(copy, origin, error);
}

static void copy_rows(struct connpool_option *rows, const struct connpool_manager *image)
{
    size_t known = image->option_stride < sizeof(*rows) ? image->option_stride : sizeof(*rows);
    for (uint32_t i = 0; i < image->option_count; i++) {
        memcpy(&rows[i], (const char *)image->options + (size_t)i * image->option_stride, known);
    }
}

struct connpool_manager *cp_plugin_table_copy(const struct connpool_manager *manager, const char *origin,
                                              connpool_error *error)
{
    struct connpool_manager image = {0};
    if (!cp_plugin_table_check_head(manager, origin, error)) {
        return NULL;
    }
    memcpy(&image, manager, manager->size < sizeof(image) ? manager->size : sizeof(image));
    if (!check_members(&image, origin, error)) {
        return NULL;
    }
    struct connpool_manager *copy = cp_alloc(sizeof(*copy) + image.option_count * sizeof(struct connpool_option));
    if (copy == NULL) {
        (void)cp_error_no_memory(error, "a manager's table");
        return NULL;
    }
    struct connpool_option *rows = (struct connpool_option *)(copy + 1);
    *copy = image;
    copy_rows(rows, &image);
    copy->size = sizeof(*copy);
    copy->options = image.option_count == 0 ? NULL : rows;
    copy->option_stride = sizeof(*rows);
    copy->blocking_operations &= ALL_BLOCKING_BITS;
    fill_defaults(copy);
    return copy;
}

void cp_plugin_table_free(struct connpool_manager *copy)
{
    cp_free(copy);
}
