/* SPDX-License-Identifier: MIT */
/* plugin: real shared objects through all checks of loading, and the registry. Each mutant of tests/plugins is wrong in
 * one place. */
#include "plugin/plugin.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../plugins/sandbox.h"

static const struct cp_plugin_search no_folders = {0};

static const struct connpool_manager *load(const char *name, const struct cp_plugin_search *search)
{
    connpool_error error = {0};
    const struct connpool_manager *manager = cp_plugin_load(name, search, &error);
    if (manager == NULL) {
        fail_msg("%s", error.text);
    }
    return manager;
}

static void assert_load_refused(const char *path, const char *const *words)
{
    connpool_error error = {0};
    assert_null(cp_plugin_load(path, &no_folders, &error));
    sandbox_assert_refused(&error, (const char *const[]){path, NULL});
    sandbox_assert_refused(&error, words);
    assert_null(cp_plugin_load(path, &no_folders, NULL));
}
#define assert_path_refused(path, ...) assert_load_refused((path), (const char *const[]){__VA_ARGS__, NULL})

static int32_t number_of(const struct connpool_manager *manager, const char *id)
{
    const int32_t *number = manager->get_extension(id);
    assert_non_null(number);
    return *number;
}

static void plugin_is_loaded_by_name_and_by_path(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    char *folders[] = {*state, NULL};
    struct cp_plugin_search search = {.folders = folders};
    const struct connpool_manager *manager = load("good", &search);
    assert_string_equal(manager->name, "good");
    assert_string_equal(manager->version, "1.0");
    assert_int_equal(manager->option_count, 1);
    assert_string_equal(manager->options[0].name, "word");
    assert_int_equal(manager->open(NULL, NULL, NULL), CONNPOOL_STEP_DONE);
    assert_ptr_equal(load(path.text, &no_folders), manager);
    assert_int_equal(number_of(manager, "test.loads/1"), 1);
}

static void public_function_loads(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    char *folders[] = {*state, NULL};
    const struct connpool_manager *manager = NULL;
    connpool_error error = {.status = CONNPOOL_STALE};
    assert_int_equal(connpool_plugin_load("good", folders, 0, &manager, &error), CONNPOOL_OK);
    assert_string_equal(manager->name, "good");
    assert_int_equal(error.status, CONNPOOL_STALE);
    const struct connpool_manager *before = manager;
    assert_int_equal(connpool_plugin_load("better", folders, 0, &manager, &error), CONNPOOL_PLUGIN_ERROR);
    assert_int_equal(connpool_plugin_load("better", folders, 0, &manager, NULL), CONNPOOL_PLUGIN_ERROR);
    assert_int_equal(connpool_plugin_load(NULL, folders, 0, &manager, &error), CONNPOOL_INVALID);
    assert_int_equal(connpool_plugin_load("good", folders, 0, NULL, &error), CONNPOOL_INVALID);
    assert_int_equal(connpool_plugin_load("good", folders, 1u << 31, &manager, &error), CONNPOOL_INVALID);
    assert_ptr_equal(manager, before);

    assert_int_equal(chmod(path.text, 0666), 0);
    assert_int_equal(connpool_plugin_load("good", folders, 0, &manager, &error), CONNPOOL_PLUGIN_ERROR);
    assert_refused(&error, path.text, "expected not to be writable", "0666");
    assert_int_equal(connpool_plugin_load("good", folders, CONNPOOL_OPEN_TRUST_ANY_OWNER, &manager, &error),
                     CONNPOOL_OK);
    assert_int_equal(connpool_plugin_folder()[0], '/');
}

static void e2_e4_broken_file_never_reaches_dlopen(void **state)
{
    struct sandbox_path path = sandbox_join(*state, "connpool_good.so");
    size_t size;
    char *content = sandbox_read(sandbox_built("good").text, &size);
    sandbox_write(path.text, "text\n", 5);
    assert_path_refused(path.text, "expected a shared object");
    for (size_t length = 4096; length < size; length += 4096) {
        sandbox_write(path.text, content, length);
        assert_path_refused(path.text, "truncated");
    }
    sandbox_write(path.text, content, size);
    free(content);
    assert_string_equal(load(path.text, &no_folders)->name, "good");
}

/* Take the linker's wish for early binding out of a plugin, so that only dlopen's flag is left. */
static void make_lazy(const char *path)
{
    size_t size;
    int found = 0;
    char *content = sandbox_read(path, &size);
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)content;
    const ElfW(Phdr) *segment = (const ElfW(Phdr) *)(content + header->e_phoff);
    while (segment->p_type != PT_DYNAMIC) {
        segment++;
    }
    for (ElfW(Dyn) *entry = (ElfW(Dyn) *)(content + segment->p_offset); entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_FLAGS) {
            entry->d_un.d_val &= ~(uint64_t)DF_BIND_NOW;
            found++;
        } else if (entry->d_tag == DT_FLAGS_1) {
            entry->d_un.d_val &= ~(uint64_t)DF_1_NOW;
            found++;
        }
    }
    sandbox_write(path, content, size);
    free(content);
    assert_int_equal(found, 2);
}

/* Found when it is loaded, not when it is first called, which would end the process. */
static void e6_undefined_symbol_is_named(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "undefined");
    make_lazy(path.text);
    assert_path_refused(path.text, "cannot be loaded", "connpool_test_nowhere");
}

static void e7_missing_library_is_named(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "borrowed-symbol");
    static const char library[] = "libconnpool_test_lender.so";
    size_t size;
    char *content = sandbox_read(path.text, &size);
    const char *found = memmem(content, size, library, sizeof(library));
    assert_non_null(found);
    sandbox_patch(path.text, found - content, "libconnpool_test_absent.so", sizeof(library));
    free(content);
    assert_path_refused(path.text, "cannot be loaded", "libconnpool_test_absent.so");
}

/* E8 to E12 and E28: what is wrong in a table, and what the refusal says. */
static void e8_to_e12_mutants_are_refused(void **state)
{
    static const struct {
        const char *plugin;
        const char *words[4];
    } rows[] = {
        {"no-symbol", {"connpool_manager: expected the symbol of a table, found none"}},
        {"function-symbol", {"connpool_manager", "found a function"}},
        {"borrowed-symbol", {"connpool_manager", "only outside of the file"}},
        {"garbage-function", {"open: expected a function of a loaded object, found 0x10"}},
        {"data-function", {"open: expected a function of a loaded object, found 0x"}},
        {"garbage-text", {"summary: expected data of a loaded object, found 0x10"}},
        {"garbage-rows", {"options: expected data of a loaded object, found 0x10"}},
        {"endless-rows", {"options: expected 1000 rows of 4096 bytes in a loaded object"}},
        {"wrong-magic", {"magic: expected 0x6c6f6f706e6e6f63", "found 0x6c6f6f706e6e6f64"}},
        {"other-major", {"ABI: expected major 0 (this library has 0.1)", "found 3.7"}},
        {"size-0", {"size: expected", "found 0"}},
        {"size-8", {"size: expected", "found 8"}},
        {"size-without-destroy", {"size: expected", "found 176"}},
        {"size-odd", {"size: expected", "found 207"}},
        {"size-beyond-symbol", {"size: expected at most the symbol's 208 bytes, found 216"}},
        {"size-huge", {"size: expected", "found 4294967295"}},
        {"no-name", {"name: expected text, found NULL"}},
        {"no-version", {"version: expected text, found NULL"}},
        {"no-summary", {"summary: expected text, found NULL"}},
        {"no-connection-size", {"connection_size: expected", "found 0"}},
        {"no-open", {"open: expected a function, found NULL"}},
        {"no-destroy", {"destroy: expected a function, found NULL"}},
        {"renamed", {"name: expected 'renamed' as in the file's name, found 'original'"}},
        {"bad-row", {"Not A Name"}},
        {"fails-silently", {"load: expected 0, found -14: no reason"}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sandbox_path path = sandbox_plugin(*state, rows[i].plugin);
        assert_load_refused(path.text, rows[i].words);
    }
}

static void e9_e10_plugins_from_past_and_future(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "future");
    const struct connpool_manager *manager = load(path.text, &no_folders);
    assert_int_equal(manager->size, sizeof(*manager));
    assert_int_equal(manager->abi_minor, CONNPOOL_ABI_MINOR + 7);
    assert_int_equal(manager->blocking_operations, CONNPOOL_BLOCKING_CLOSE);
    assert_string_equal(manager->options[1].name, "second");

    path = sandbox_plugin(*state, "past");
    manager = load(path.text, &no_folders);
    assert_int_equal(manager->size, sizeof(*manager));
    assert_int_equal(manager->native(NULL, "fd", NULL), -CONNPOOL_ERROR_UNSUPPORTED);
    assert_string_equal(manager->options[1].default_text, "2");
    assert_null(manager->options[1].maximum);
}

/* E12: a plugin is asked for by the name of its file, however the file got that name. */
static void e12_hard_link_with_another_name_is_refused(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    struct sandbox_path other = sandbox_join(*state, "connpool_other.so");
    assert_int_equal(link(path.text, other.text), 0);
    (void)load(path.text, &no_folders);
    assert_path_refused(other.text, "name: expected 'other' as in the file's name, found 'good'");
}

static void e13_same_file_is_one_plugin_and_a_copy_is_another(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    struct sandbox_path folder = sandbox_join(*state, "folder");
    assert_int_equal(mkdir(folder.text, 0755), 0);
    struct sandbox_path linked = sandbox_join(folder.text, "connpool_good.so");
    assert_int_equal(link(path.text, linked.text), 0);
    const struct connpool_manager *manager = load(path.text, &no_folders);
    assert_ptr_equal(load(linked.text, &no_folders), manager);
    assert_int_equal(number_of(manager, "test.loads/1"), 1);

    assert_int_equal(unlink(linked.text), 0);
    struct sandbox_path copied = sandbox_plugin(folder.text, "good");
    const struct connpool_manager *copy = load(copied.text, &no_folders);
    assert_ptr_not_equal(copy, manager);
    assert_ptr_not_equal(copy->open, manager->open);
    assert_int_equal(number_of(copy, "test.loads/1"), 1);
    assert_ptr_equal(load(path.text, &no_folders), manager);
}

static void e14_plugins_do_not_see_each_others_symbols(void **state)
{
    const struct connpool_manager *good = load(sandbox_plugin(*state, "good").text, &no_folders);
    const struct connpool_manager *better = load(sandbox_plugin(*state, "better").text, &no_folders);
    assert_int_equal(number_of(good, "test.number/1"), (int)strlen("good"));
    assert_int_equal(number_of(better, "test.number/1"), (int)strlen("better"));
}

/* glibc finds a loaded object by its path, and would give the old plugin for the new file. */
static void e21_replaced_file_is_refused_under_its_old_path(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    const struct connpool_manager *manager = load(path.text, &no_folders);
    struct sandbox_path newer = sandbox_plugin_as(*state, "good", "newer");
    assert_int_equal(rename(newer.text, path.text), 0);
    assert_path_refused(path.text, "replaced since this process loaded it", "found inode", "restart");
    assert_int_equal(manager->open(NULL, NULL, NULL), CONNPOOL_STEP_DONE);
}

static void e21_file_replaced_during_the_load_is_refused_for_good(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "replaced");
    struct sandbox_path newer = sandbox_plugin_as(*state, "replaced", "newer");
    struct sandbox_path older = sandbox_join(*state, "older");
    connpool_error error = {0};
    assert_int_equal(link(path.text, older.text), 0);
    assert_int_equal(setenv("CONNPOOL_TEST_NEWER", newer.text, 1), 0);
    assert_int_equal(setenv("CONNPOOL_TEST_OLDER", path.text, 1), 0);
    assert_null(cp_plugin_load(path.text, &no_folders, &error));
    assert_refused(&error, path.text, "replaced while it was loaded");
    assert_path_refused(path.text, "replaced since this process loaded it");
    assert_int_equal(rename(older.text, path.text), 0);
    assert_path_refused(path.text, "replaced since this process loaded it");
    assert_int_equal(unsetenv("CONNPOOL_TEST_NEWER"), 0);
    assert_int_equal(unsetenv("CONNPOOL_TEST_OLDER"), 0);
}

/* The constructor leaves a mark, which must not be there for a file that is not trusted or not whole. */
static void e22_nothing_runs_before_the_file_is_trusted(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "marking");
    struct sandbox_path mark = sandbox_join(*state, "mark");
    struct stat status;
    size_t size;
    char *content = sandbox_read(path.text, &size);
    assert_int_equal(setenv("CONNPOOL_TEST_MARK", mark.text, 1), 0);

    assert_int_equal(chmod(path.text, 0666), 0);
    assert_path_refused(path.text, "file: expected not to be writable");
    assert_int_equal(chmod(path.text, 0644), 0);
    assert_int_equal(chmod(*state, 0777), 0);
    assert_path_refused(path.text, "folder");
    assert_int_equal(chmod(*state, 0700), 0);
    sandbox_patch(path.text, offsetof(ElfW(Ehdr), e_type), &(uint16_t){ET_EXEC}, sizeof(uint16_t));
    assert_path_refused(path.text, "ELF type");
    assert_int_equal(stat(mark.text, &status), -1);

    sandbox_write(path.text, content, size);
    free(content);
    (void)load(path.text, &no_folders);
    assert_int_equal(stat(mark.text, &status), 0);
    assert_int_equal(unsetenv("CONNPOOL_TEST_MARK"), 0);
}

/* Neither many loads nor somebody's dlclose takes a plugin away. */
static void e23_plugin_stays(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    const struct connpool_manager *manager = load(path.text, &no_folders);
    for (int i = 0; i < 1000; i++) {
        assert_ptr_equal(load(path.text, &no_folders), manager);
    }
    void *handle = dlopen(path.text, RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(handle);
    assert_int_equal(dlclose(handle), 0);
    assert_int_equal(dlclose(handle), 0);
    assert_int_equal(manager->open(NULL, NULL, NULL), CONNPOOL_STEP_DONE);
    assert_int_equal(number_of(manager, "test.loads/1"), 1);
}

static void e27_failed_load_is_reported_and_tried_again(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "fails-first");
    connpool_error error = {0};
    assert_null(cp_plugin_load(path.text, &no_folders, &error));
    assert_refused(&error, path.text, "load", "-10", "the machine has no such device");
    assert_int_equal(error.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL);
    const struct connpool_manager *manager = load(path.text, &no_folders);
    assert_int_equal(number_of(manager, "test.loads/1"), 2);
    assert_ptr_equal(load(path.text, &no_folders), manager);
    assert_int_equal(number_of(manager, "test.loads/1"), 2);
}

#define THREADS 16
#define ROUNDS  20

struct crowd {
    pthread_barrier_t start;
    struct cp_plugin_search search;
    const struct connpool_manager *good[THREADS], *better[THREADS];
    atomic_int next, failures;
};

static void *load_in_crowd(void *argument)
{
    struct crowd *crowd = argument;
    int self = atomic_fetch_add(&crowd->next, 1);
    (void)pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < ROUNDS; i++) {
        crowd->good[self] = cp_plugin_load("good", &crowd->search, NULL);
        crowd->better[self] = cp_plugin_load("better", &crowd->search, NULL);
        if (cp_plugin_load("wrong-magic", &crowd->search, NULL) != NULL) {
            atomic_fetch_add(&crowd->failures, 1);
        }
    }
    return NULL;
}

static void c22_e27_sixteen_threads_load_once(void **state)
{
    char *folders[] = {*state, NULL};
    struct crowd crowd = {.search = {.folders = folders}};
    pthread_t threads[THREADS];
    (void)sandbox_plugin(*state, "good");
    (void)sandbox_plugin(*state, "better");
    (void)sandbox_plugin(*state, "wrong-magic");
    assert_int_equal(pthread_barrier_init(&crowd.start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, load_in_crowd, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(pthread_barrier_destroy(&crowd.start), 0);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_non_null(crowd.good[i]);
        assert_ptr_equal(crowd.good[i], crowd.good[0]);
        assert_ptr_equal(crowd.better[i], crowd.better[0]);
    }
    assert_int_equal(number_of(crowd.good[0], "test.loads/1"), 1);
    assert_int_equal(number_of(crowd.better[0], "test.loads/1"), 1);
}

static int32_t finish(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static void forget(void *connection)
{
    (void)connection;
}

static int code_loads;
static const struct connpool_host *code_host;
static connpool_error inner_error;

/* E18: a load that comes back into the loader gets an error, not a deadlock; and it may use its host. */
static int32_t load_another(const struct connpool_host *host, struct connpool_fault *fault)
{
    const struct connpool_manager *manager;
    (void)fault;
    code_loads++;
    code_host = host;
    host->log(host, CONNPOOL_LOG_DEBUG, "loading");
    char *folders[] = {CONNPOOL_TEST_TEST_PLUGIN_FOLDER "/loader", NULL};
    return connpool_plugin_load("good", folders, CONNPOOL_OPEN_TRUST_ANY_OWNER, &manager, &inner_error) ==
                   CONNPOOL_PLUGIN_ERROR
               ? 0
               : -CONNPOOL_ERROR_INTERNAL;
}

#define CODE_TABLE                                                                                                     \
    {                                                                                                                  \
        .magic = CONNPOOL_MANAGER_MAGIC, .abi_major = CONNPOOL_ABI_MAJOR, .abi_minor = CONNPOOL_ABI_MINOR,             \
        .size = sizeof(struct connpool_manager), .name = "code", .version = "1.0", .summary = "A manager from code",   \
        .connection_size = sizeof(struct connpool_head), .load = load_another, .open = finish, .destroy = forget       \
    }
static const struct connpool_manager code = CODE_TABLE;
static const struct connpool_manager twin = CODE_TABLE;

static void e13_e18_table_from_code_is_adopted_once(void **state)
{
    connpool_error error = {.status = CONNPOOL_STALE};
    const struct connpool_manager *copy = cp_plugin_adopt(&code, "code", &error);
    (void)state;
    assert_non_null(copy);
    assert_int_equal(error.status, CONNPOOL_STALE);
    assert_refused(&inner_error, "connpool_good.so", "while another one is loaded by this thread");
    assert_ptr_equal(cp_plugin_adopt(&code, "code", &error), copy);
    assert_int_equal(code_loads, 1);
    assert_string_equal(code_host->name, "libconnpool");

    const struct connpool_manager *other = cp_plugin_adopt(&twin, "code", &error);
    assert_non_null(other);
    assert_ptr_not_equal(other, copy);
    assert_int_equal(code_loads, 2);
}

static void e11_bad_table_from_code_is_refused_with_its_origin(void **state)
{
    static struct connpool_manager table = CODE_TABLE;
    connpool_error error = {0};
    (void)state;
    table.open = NULL;
    assert_null(cp_plugin_adopt(&table, "managers[3]", &error));
    assert_refused(&error, "managers[3]", "open: expected a function, found NULL");
    assert_null(cp_plugin_adopt(&table, "managers[3]", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plugin_is_loaded_by_name_and_by_path, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(public_function_loads, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e2_e4_broken_file_never_reaches_dlopen, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e6_undefined_symbol_is_named, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e7_missing_library_is_named, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e8_to_e12_mutants_are_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e9_e10_plugins_from_past_and_future, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e12_hard_link_with_another_name_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e13_same_file_is_one_plugin_and_a_copy_is_another, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(e14_plugins_do_not_see_each_others_symbols, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e21_replaced_file_is_refused_under_its_old_path, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(e21_file_replaced_during_the_load_is_refused_for_good, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(e22_nothing_runs_before_the_file_is_trusted, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e23_plugin_stays, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e27_failed_load_is_reported_and_tried_again, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(c22_e27_sixteen_threads_load_once, sandbox_setup, sandbox_teardown),
        cmocka_unit_test(e13_e18_table_from_code_is_adopted_once),
        cmocka_unit_test(e11_bad_table_from_code_is_refused_with_its_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
