/* SPDX-License-Identifier: MIT */
/*
 * options: see options.h. A block holds one options struct and, for each row, whether the block owns the value's
 * memory. A block made from another borrows what it does not replace and keeps the other alive, so that a secret is in
 * memory once however many endpoints have it.
 */
#include "options/options.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "options/option_row.h"
#include "options/option_type.h"
#include "options/policy.h"

enum row_state {
    ROW_GIVEN = 1, /* by the configuration, by text or by the row's default */
    ROW_OWNED = 2  /* the value's memory is this block's, not its parent's */
};

struct cp_option_block {
    atomic_size_t references;
    const struct connpool_manager *manager;
    struct cp_option_block *parent; /* whose values are borrowed; NULL: none */
    char *folder;                   /* what relative paths in text are relative to; the parent's where there is one */
    void *values;                   /* the plugin's options struct */
    uint8_t states[];               /* enum row_state, one for each row */
};

static void *member(const struct cp_option_block *block, size_t index)
{
    return (char *)block->values + cp_option_row(block->manager, index)->offset;
}

static const struct cp_option_type *type_of(const struct cp_option_block *block, size_t index)
{
    return cp_option_type(cp_option_row(block->manager, index)->type);
}

static union cp_option_value value_of(const struct cp_option_block *block, size_t index)
{
    union cp_option_value value = {0};

    memcpy(&value, member(block, index), type_of(block, index)->size);
    return value;
}

/* Takes the value's memory over. */
static void store(struct cp_option_block *block, size_t index, const union cp_option_value *value)
{
    union cp_option_value old = value_of(block, index);

    if ((block->states[index] & ROW_OWNED) != 0) {
        type_of(block, index)->free(&old);
    }
    memcpy(member(block, index), value, type_of(block, index)->size);
    block->states[index] = ROW_GIVEN | ROW_OWNED;
}

/* ---- Lifetime ---- */

static struct cp_option_block *block_new(const struct connpool_manager *manager)
{
    struct cp_option_block *block = cp_alloc(sizeof(*block) + manager->option_count);

    if (block == NULL) {
        return NULL;
    }
    atomic_init(&block->references, 1);
    block->manager = manager;
    block->values = cp_alloc(manager->options_size);
    if (block->values == NULL) {
        cp_free(block);
        return NULL;
    }
    return block;
}

static struct cp_option_block *block_derive(struct cp_option_block *parent)
{
    struct cp_option_block *block = block_new(parent->manager);

    if (block == NULL) {
        return NULL;
    }
    block->parent = cp_options_ref(parent);
    block->folder = parent->folder;
    memcpy(block->values, parent->values, parent->manager->options_size);
    for (size_t i = 0; i < parent->manager->option_count; i++) {
        block->states[i] = parent->states[i] & ROW_GIVEN;
    }
    return block;
}

struct cp_option_block *cp_options_ref(struct cp_option_block *block)
{
    (void)atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    return block;
}

static void block_free(struct cp_option_block *block)
{
    for (size_t i = 0; i < block->manager->option_count; i++) {
        union cp_option_value value = value_of(block, i);

        if ((block->states[i] & ROW_OWNED) != 0) {
            type_of(block, i)->free(&value);
        }
    }
    if (block->parent == NULL) {
        cp_free(block->folder);
    }
    cp_options_unref(block->parent);
    cp_free(block->values);
    cp_free(block);
}

void cp_options_unref(struct cp_option_block *block)
{
    if (block != NULL && atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1) {
        block_free(block);
    }
}

/* ---- From JSON ---- */

static bool is_users_own(const char *key)
{
    return strncmp(key, "x-", 2) == 0;
}

/* Where a key that is no option belongs; NULL: nowhere. */
static const char *hint_for(uint32_t level, const char *key)
{
    if (!cp_policy_is_key(key)) {
        return NULL;
    }
    return level == CONNPOOL_LEVEL_POOL ? "beside \"options\"" : "under the endpoint's \"pool\"";
}

/* A key that the manager has no row for at all. */
static void add_unknown(const struct connpool_manager *manager, uint32_t level, const char *path, const char *key,
                        struct cp_mistakes *mistakes)
{
    const char **names = cp_alloc_array((size_t)manager->option_count + 1, sizeof(*names));
    size_t count = 0;

    if (names == NULL) {
        mistakes->no_memory = true;
        return;
    }
    for (size_t i = 0; i < manager->option_count; i++) {
        if ((cp_option_row(manager, i)->level & level) != 0) {
            names[count++] = cp_option_row(manager, i)->name;
        }
    }
    if (level == CONNPOOL_LEVEL_ENDPOINT) {
        names[count++] = "pool";
    }
    cp_mistakes_add_unknown(mistakes, path, key, names, count, hint_for(level, key));
    cp_free(names);
}

static void read_key(struct cp_option_block *block, uint32_t level, const char *path, const char *key,
                     const json_t *json, const struct cp_option_source *source, struct cp_mistakes *mistakes)
{
    const struct connpool_manager *manager = block->manager;
    size_t index = cp_option_find(manager, key, strlen(key));
    struct cp_option_reader reader = {.source = source};
    union cp_option_value value;

    if (index == manager->option_count) {
        add_unknown(manager, level, path, key, mistakes);
        return;
    }
    reader.row = cp_option_row(manager, index);
    if ((reader.row->level & level) == 0) {
        cp_mistakes_add_unknown(mistakes, path, key, NULL, 0,
                                level == CONNPOOL_LEVEL_POOL ? "under an endpoint" : "under the pool's \"options\"");
    } else if (cp_option_read_json(&reader, json, &value)) {
        store(block, index, &value);
        return;
    } else if (reader.complaint.no_memory) {
        mistakes->no_memory = true;
    } else {
        cp_mistakes_add(mistakes, cp_path_join(path, key).text, "%s", reader.complaint.text);
    }
    /* Given, though not rightly: it is not missing as well. */
    block->states[index] |= ROW_GIVEN;
}

static void read_object(struct cp_option_block *block, uint32_t level, const json_t *object, const char *path,
                        const struct cp_option_source *source, struct cp_mistakes *mistakes)
{
    const char *key;
    json_t *json;

    if (object != NULL && !json_is_object(object)) {
        cp_mistakes_add(mistakes, path, "found %s, expected an object of options", cp_json_kind(object));
        return;
    }
    json_object_foreach ((json_t *)(uintptr_t)object, key, json) {
        if (!is_users_own(key) && !(level == CONNPOOL_LEVEL_ENDPOINT && strcmp(key, "pool") == 0)) {
            read_key(block, level, path, key, json, source, mistakes);
        }
    }
}

/* Required rows that nobody gave: those that only the pool can give are asked for there. */
static void add_missing(const struct cp_option_block *block, bool at_pool, const char *path,
                        struct cp_mistakes *mistakes)
{
    for (size_t i = 0; i < block->manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(block->manager, i);

        if (cp_option_is_required(row) && block->states[i] == 0 && at_pool == (row->level == CONNPOOL_LEVEL_POOL)) {
            cp_mistakes_add(mistakes, cp_path_join(path, row->name).text, "found nothing, expected %s",
                            cp_option_expected(row).text);
        }
    }
}

static bool fill_defaults(struct cp_option_block *block, const struct cp_option_source *source)
{
    for (size_t i = 0; i < block->manager->option_count; i++) {
        struct cp_option_reader reader = {.row = cp_option_row(block->manager, i), .source = source};
        union cp_option_value value;

        if (reader.row->default_text == NULL) {
            continue;
        }
        if (!cp_option_read_text(&reader, reader.row->default_text, &value)) {
            return false;
        }
        store(block, i, &value);
    }
    return true;
}

/* block, or NULL where something was found since `before`. */
static struct cp_option_block *finish(struct cp_option_block *block, const struct cp_mistakes *mistakes, size_t before)
{
    if (mistakes->count == before && !mistakes->no_memory) {
        return block;
    }
    cp_options_unref(block);
    return NULL;
}

static struct cp_option_block *new_defaults(const struct connpool_manager *manager,
                                            const struct cp_option_source *source)
{
    struct cp_option_source defaults = {.folder = source->folder == NULL ? "/" : source->folder};
    struct cp_option_block *block = block_new(manager);

    if (block == NULL) {
        return NULL;
    }
    block->folder = cp_text_copy(source->folder);
    if ((source->folder != NULL && block->folder == NULL) || !fill_defaults(block, &defaults)) {
        cp_options_unref(block);
        return NULL;
    }
    return block;
}

struct cp_option_block *cp_options_defaults(const struct connpool_manager *manager, const json_t *pool_options,
                                            const char *path, const struct cp_option_source *source,
                                            struct cp_mistakes *mistakes)
{
    struct cp_option_block *block = new_defaults(manager, source);

    if (block == NULL) {
        mistakes->no_memory = true; /* the texts were checked with the rows: nothing else can be wrong with them */
        return NULL;
    }
    read_object(block, CONNPOOL_LEVEL_POOL, pool_options, path, source, mistakes);
    add_missing(block, true, path, mistakes);
    return block;
}

struct cp_option_block *cp_options_endpoint(struct cp_option_block *defaults, const json_t *endpoint, const char *path,
                                            const struct cp_option_source *source, struct cp_mistakes *mistakes)
{
    struct cp_option_block *block = block_derive(defaults);
    size_t before = mistakes->count;

    if (block == NULL) {
        mistakes->no_memory = true;
        return NULL;
    }
    read_object(block, CONNPOOL_LEVEL_ENDPOINT, endpoint, path, source, mistakes);
    add_missing(block, false, path, mistakes);
    return finish(block, mistakes, before);
}

struct cp_option_block *cp_options_resolve(const struct connpool_manager *manager, const json_t *pool_options,
                                           const char *pool_path, const json_t *endpoint, const char *endpoint_path,
                                           bool complete, const struct cp_option_source *source,
                                           struct cp_mistakes *mistakes)
{
    size_t before = mistakes->count;
    struct cp_option_block *defaults, *block;

    defaults = cp_options_defaults(manager, pool_options, pool_path == NULL ? "" : pool_path, source, mistakes);
    if (defaults == NULL || (!complete && endpoint == NULL)) {
        return finish(defaults, mistakes, before);
    }
    block = cp_options_endpoint(defaults, endpoint, endpoint_path == NULL ? "" : endpoint_path, source, mistakes);
    cp_options_unref(defaults);
    return finish(block, mistakes, before);
}

const char *cp_options_missing(const struct cp_option_block *block)
{
    for (size_t i = 0; i < block->manager->option_count; i++) {
        if (cp_option_is_required(cp_option_row(block->manager, i)) && block->states[i] == 0) {
            return cp_option_row(block->manager, i)->name;
        }
    }
    return NULL;
}

/* ---- From text ---- */

/* What parse_endpoint passes through to set_from_text. */
struct text_setting {
    struct cp_option_block *block;
    int32_t result;    /* of the first call that failed; the plugin may have lost it */
    bool holds_secret; /* the text may hold one: it must not be shown */
    struct connpool_fault fault;
};

static int32_t refuse(struct text_setting *setting, struct connpool_fault *fault, int32_t error_class,
                      const struct cp_complaint *complaint, const char *option)
{
    if (setting->result == 0) {
        setting->result = cp_fault_set(&setting->fault, error_class, 0, "%s: %s", option, complaint->text);
    }
    return cp_fault_set(fault, error_class, 0, "%s: %s", option, complaint->text);
}

/* Whether the row can stand in text at all. */
static bool takes_text(const struct connpool_option *row, struct cp_complaint *complaint)
{
    if (!cp_option_type(row->type)->takes_text) {
        return cp_complain(complaint, "found a secret in text, expected it in the configuration, by reference");
    }
    if ((row->level & CONNPOOL_LEVEL_ENDPOINT) == 0 || (row->flags & CONNPOOL_OPTION_SHARED) != 0) {
        return cp_complain(complaint, "found it in text, expected it in the configuration only");
    }
    return true;
}

static bool read_text(struct cp_option_reader *reader, const char *start, size_t length, union cp_option_value *value)
{
    char *text;
    bool taken;

    if (memchr(start, '\0', length) != NULL) {
        return cp_complain(&reader->complaint, "found a NUL, expected %s", cp_option_expected(reader->row).text);
    }
    text = cp_text_copy_length(start, length);
    taken = text == NULL ? cp_complain_no_memory(&reader->complaint) : cp_option_read_text(reader, text, value);
    cp_free(text);
    return taken;
}

static int32_t set_from_text(void *context, const char *option, const char *start, size_t length,
                             struct connpool_fault *fault)
{
    struct text_setting *setting = context;
    struct cp_option_block *block = setting->block;
    struct cp_option_source source = {.folder = block->folder};
    struct cp_option_reader reader = {.source = &source};
    size_t index =
        option == NULL ? block->manager->option_count : cp_option_find(block->manager, option, strlen(option));
    union cp_option_value value;

    if (index == block->manager->option_count || start == NULL) {
        (void)cp_complain(&reader.complaint, "found no such option, expected one of the manager's rows");
        return refuse(setting, fault, CONNPOOL_ERROR_MISBEHAVING, &reader.complaint, option == NULL ? "?" : option);
    }
    reader.row = cp_option_row(block->manager, index);
    setting->holds_secret = setting->holds_secret || !cp_option_type(reader.row->type)->takes_text;
    if (takes_text(reader.row, &reader.complaint) && read_text(&reader, start, length, &value)) {
        store(block, index, &value);
        return 0;
    }
    return refuse(setting, fault,
                  reader.complaint.no_memory ? CONNPOOL_ERROR_RESOURCE_LOCAL : CONNPOOL_ERROR_CONFIGURATION,
                  &reader.complaint, option);
}

/* Runs the plugin's parser; false: the setting's fault. */
static bool parse(struct text_setting *setting, const char *text)
{
    const struct connpool_manager *manager = setting->block->manager;
    struct connpool_fault fault;
    int32_t result;
    const char *missing;

    cp_fault_init(&fault);
    cp_fault_init(&setting->fault);
    result = manager->parse_endpoint(text, set_from_text, setting, &fault);
    if (setting->result != 0) {
        return false;
    }
    if (result != 0) {
        (void)cp_fault_set(&fault, CONNPOOL_ERROR_MISBEHAVING, 0, "the manager refused it without a reason");
        setting->fault = fault;
        return false;
    }
    missing = cp_options_missing(setting->block);
    if (missing != NULL) {
        (void)cp_fault_set(&setting->fault, CONNPOOL_ERROR_CONFIGURATION, 0, "found nothing for the option %s",
                           missing);
    }
    return missing == NULL;
}

bool cp_options_take_text(const struct connpool_manager *manager)
{
    return manager->parse_endpoint != NULL;
}

struct cp_option_block *cp_options_parse_text(const struct connpool_manager *manager, struct cp_option_block *defaults,
                                              const char *text, connpool_error *error)
{
    struct text_setting setting = {0};

    if (manager->parse_endpoint == NULL) {
        (void)cp_error_set(error, CONNPOOL_NOT_FOUND, 0,
                           "endpoint %s: not named in the configuration, and manager %s takes no others",
                           cp_quote(text).text, manager->name);
        return NULL;
    }
    setting.block = block_derive(defaults);
    if (setting.block == NULL) {
        (void)cp_error_no_memory(error, "endpoint");
        return NULL;
    }
    if (parse(&setting, text)) {
        return setting.block;
    }
    cp_options_unref(setting.block);
    (void)cp_error_set_fault(
        error, setting.fault.error_class == CONNPOOL_ERROR_RESOURCE_LOCAL ? CONNPOOL_NO_MEMORY : CONNPOOL_NOT_FOUND,
        &setting.fault, "endpoint %s", setting.holds_secret ? "(hidden: it holds a secret)" : cp_quote(text).text);
    return NULL;
}

/* ---- Comparing and showing ---- */

const void *cp_options_struct(const struct cp_option_block *block)
{
    return block->values;
}

/* Whether the rows that `counts` accepts are equal. */
static bool equal_where(const struct cp_option_block *a, const struct cp_option_block *b,
                        bool (*counts)(const struct connpool_option *row))
{
    if (a->manager != b->manager) {
        return false;
    }
    for (size_t i = 0; a != b && i < a->manager->option_count; i++) {
        union cp_option_value left = value_of(a, i), right = value_of(b, i);

        if (counts(cp_option_row(a->manager, i)) && !type_of(a, i)->equal(&left, &right)) {
            return false;
        }
    }
    return true;
}

static bool any_row(const struct connpool_option *row)
{
    (void)row;
    return true;
}

static bool public_row(const struct connpool_option *row)
{
    return row->type != CONNPOOL_TYPE_SECRET;
}

static bool shared_row(const struct connpool_option *row)
{
    return (row->flags & CONNPOOL_OPTION_SHARED) != 0;
}

bool cp_options_equal(const struct cp_option_block *a, const struct cp_option_block *b)
{
    return equal_where(a, b, any_row);
}

bool cp_options_public_equal(const struct cp_option_block *a, const struct cp_option_block *b)
{
    return equal_where(a, b, public_row);
}

bool cp_options_shared_equal(const struct cp_option_block *a, const struct cp_option_block *b)
{
    return equal_where(a, b, shared_row);
}

uint64_t cp_options_hash(const struct cp_option_block *block)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < block->manager->option_count; i++) {
        union cp_option_value value = value_of(block, i);

        hash = cp_hash_pair(hash, type_of(block, i)->hash(&value));
    }
    return hash;
}

json_t *cp_options_redacted(const struct cp_option_block *block, uint32_t level)
{
    json_t *shown = json_object();

    for (size_t i = 0; shown != NULL && i < block->manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(block->manager, i);
        union cp_option_value value = value_of(block, i);

        if ((row->level & level) != 0 && !type_of(block, i)->is_absent(&value) &&
            json_object_set_new(shown, row->name, type_of(block, i)->show(row, &value)) != 0) {
            json_decref(shown);
            shown = NULL;
        }
    }
    return shown;
}
