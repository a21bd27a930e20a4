/* SPDX-License-Identifier: MIT */
/* plugin_object: see plugin_object.h. */
#include "plugin/plugin_object.h"

#include <dlfcn.h>
#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>

#include "plugin/plugin_refusal.h"
#include "plugin/plugin_table.h"

#define SYMBOL "connpool_manager"

void *cp_plugin_object_open(const char *path, connpool_error *error)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        const char *reason = dlerror();
        (void)cp_plugin_refuse(error, path, 0, "cannot be loaded: %s", reason != NULL ? reason : "no reason was given");
    }
    return handle;
}

/* A stretch of memory that is looked for in the segments of loaded objects. */
struct stretch {
    uintptr_t begin;
    size_t length;
    uint32_t access; /* PF_R, PF_X */
};

static int holds_stretch(struct dl_phdr_info *info, size_t size, void *argument)
{
    const struct stretch *stretch = argument;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t at = stretch->begin - (uintptr_t)(info->dlpi_addr + segment->p_vaddr);
        if (segment->p_type == PT_LOAD && (segment->p_flags & stretch->access) == stretch->access &&
            stretch->length <= segment->p_memsz && at <= segment->p_memsz - stretch->length) {
            return 1;
        }
    }
    return 0;
}

static bool is_loaded(const void *begin, size_t length, uint32_t access)
{
    struct stretch stretch = {.begin = (uintptr_t)begin, .length = length, .access = access};
    return dl_iterate_phdr(holds_stretch, &stretch) != 0;
}

static bool refuse_missing(const char *path, const char *found, connpool_error *error)
{
    return cp_plugin_refuse(error, path, 0, SYMBOL ": expected the symbol of a table, found %s", found);
}

/* dlsym also looks into the libraries that the object needs, hence the comparison of the objects. *size: the symbol's,
 * 0: not known. */
static bool check_symbol(void *handle, const void *table, const char *path, size_t *size, connpool_error *error)
{
    const struct link_map *object = NULL;
    const struct link_map *owner = NULL;
    const ElfW(Sym) *symbol = NULL;
    Dl_info information;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &object) != 0 ||
        dladdr1(table, &information, (void **)&owner, RTLD_DL_LINKMAP) == 0 || owner != object) {
        return refuse_missing(path, "it only outside of the file", error);
    }
    if (dladdr1(table, &information, (void **)&symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL) {
        return refuse_missing(path, "none", error);
    }
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (type != STT_OBJECT && type != STT_NOTYPE) {
        return refuse_missing(path, type == STT_FUNC ? "a function" : "a symbol of another type", error);
    }
    if ((uintptr_t)table % _Alignof(struct connpool_manager) != 0) {
        return refuse_missing(path, "an address that is not aligned", error);
    }
    *size = symbol->st_size;
    return true;
}

static bool check_readable(const void *table, size_t length, const char *path, connpool_error *error)
{
    if (is_loaded(table, length, PF_R)) {
        return true;
    }
    return cp_plugin_refuse(error, path, 0, SYMBOL ": expected %zu readable bytes in the object, found fewer", length);
}

static bool check_pointer(const struct connpool_manager *table, const struct cp_plugin_pointer *pointer,
                          const char *path, connpool_error *error)
{
    uintptr_t value;
    if (pointer->offset + sizeof(value) > table->size) {
        return true;
    }
    memcpy(&value, (const char *)table + pointer->offset, sizeof(value));
    if (value == 0 || is_loaded((const void *)value, 1, pointer->is_function ? PF_X : PF_R)) {
        return true;
    }
    return cp_plugin_refuse(error, path, 0, "%s: expected %s of a loaded object, found 0x%" PRIxPTR, pointer->member,
                            pointer->is_function ? "a function" : "data", value);
}

static bool check_rows(const struct connpool_manager *table, const char *path, connpool_error *error)
{
    size_t length = (size_t)table->option_count * table->option_stride;
    if (length == 0 || table->options == NULL || is_loaded(table->options, length, PF_R)) {
        return true;
    }
    return cp_plugin_refuse(error, path, 0,
                            "options: expected %" PRIu32 " rows of %" PRIu32 " bytes in a loaded object, found fewer",
                            table->option_count, table->option_stride);
}

static bool check_table(const struct connpool_manager *table, size_t symbol_size, const char *path,
                        connpool_error *error)
{
    if (!check_readable(table, offsetof(struct connpool_manager, name), path, error) ||
        !cp_plugin_table_check_head(table, path, error)) {
        return false;
    }
    if (symbol_size != 0 && table->size > symbol_size) {
        return cp_plugin_refuse(error, path, 0, "size: expected at most the symbol's %zu bytes, found %" PRIu32,
                                symbol_size, table->size);
    }
    if (!check_readable(table, table->size, path, error)) {
        return false;
    }
    for (const struct cp_plugin_pointer *pointer = cp_plugin_table_pointers; pointer->member != NULL; pointer++) {
        if (!check_pointer(table, pointer, path, error)) {
            return false;
        }
    }
    return check_rows(table, path, error);
}

const struct connpool_manager *cp_plugin_object_table(void *handle, const char *path, connpool_error *error)
{
    size_t symbol_size = 0;
    (void)dlerror();
    const void *table = dlsym(handle, SYMBOL);
    if (table == NULL) {
        (void)refuse_missing(path, dlerror() != NULL ? "none" : "NULL", error);
        return NULL;
    }
    if (!check_symbol(handle, table, path, &symbol_size, error) || !check_table(table, symbol_size, path, error)) {
        return NULL;
    }
    return table;
}
