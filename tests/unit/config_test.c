/* SPDX-License-Identifier: MIT */
/* config: what cannot be a file of the corpus. Failures B26, D8 to D10, D16 to D18, D20, D21; semantics S1 to S4. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "configuration/config.h"
#include "configuration/config_json.h"
#include "every_option.h"
#include "server_folder.h"

static const struct connpool_manager *const managers[] = {&every_option_manager, &named_only_manager, &bare_manager};

static struct connpool_options options_of(const char *path, const char *json)
{
    return (struct connpool_options){
        .size = sizeof(struct connpool_options), .path = path, .json = json, .managers = managers, .manager_count = 3};
}

static struct cp_config *load(const char *path, const char *json, connpool_error *error)
{
    struct connpool_options options = options_of(path, json);
    struct cp_mistakes mistakes = {.count = 0};

    error->text[0] = '\0';
    return cp_config_load(&options, &mistakes, error);
}

static struct cp_config *must_load(const char *path, const char *json)
{
    connpool_error error;
    struct cp_config *config = load(path, json, &error);

    assert_string_equal(error.text, "");
    assert_non_null(config);
    return config;
}

static void assert_refused(const char *path, const char *json, const char *expected)
{
    connpool_error error;

    assert_null(load(path, json, &error));
    assert_int_equal(error.status, CONNPOOL_INVALID);
    assert_string_equal(error.text, expected);
}

static void assert_file_refused(const char *path, const char *expected)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "%s: %s", path, expected);
    assert_refused(path, NULL, text);
}

static void test_what_is_made(void **state)
{
    struct cp_config *config = must_load(
        NULL, "{\"pools\": {\"z\": {\"manager\": \"every\", \"options\": {\"port\": 9}, \"max_size\": 4, \"endpoints\":"
              " {\"two\": {\"host\": \"h\"}, \"one\": {\"host\": \"i\", \"pool\": {\"max_size\": 2}}}}, \"a\": "
              "{\"manager\": \"bare\"}, \"m\": {\"manager\": \"every\"}}}");
    const struct every_options *one;

    (void)state;
    assert_int_equal(config->pool_count, 3);
    assert_string_equal(config->pools[0].name, "z");
    assert_string_equal(config->pools[0].manager->name, "every");
    assert_int_equal(config->pools[0].endpoint_count, 2);
    assert_string_equal(config->pools[0].endpoints[0].name, "two");
    assert_int_equal(config->pools[0].endpoints[0].policy.max_size, 4);
    assert_int_equal(config->pools[0].endpoints[1].policy.max_size, 2);
    assert_int_equal(config->pools[0].policy.max_size, 4);
    one = cp_options_struct(config->pools[0].endpoints[1].options);
    assert_string_equal(one->host, "i");
    assert_int_equal(one->port, 9);
    assert_string_equal(config->pools[1].name, "a");
    assert_int_equal(config->pools[1].endpoint_count, 1);
    assert_string_equal(config->pools[1].endpoints[0].name, "default");
    assert_int_equal(config->pools[2].endpoint_count, 0);
    assert_non_null(config->pools[2].defaults);
    cp_config_free(config);
}

/* D10: none of these may hang or be read. D9: nothing without an end is. */
static void test_what_is_no_file(void **state)
{
    struct server_folder folder;
    char path[SERVER_PATH_SIZE];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "fifo", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_file_refused(path, "found a FIFO, expected a regular file");
    server_folder_path(&folder, "loop", path);
    assert_int_equal(symlink("loop", path), 0);
    assert_file_refused(path, "found no file that can be opened: Too many levels of symbolic links");
    server_folder_path(&folder, "socket", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_file_refused(path, "found no file that can be opened: No such device or address");
    (void)close(fd);
    server_folder_path(&folder, "nowhere", path);
    assert_file_refused(path, "found no file that can be opened: No such file or directory");
    assert_file_refused(folder.path, "found a folder, expected a regular file");
    assert_file_refused("/dev/zero", "found a device, expected a regular file");
    assert_file_refused("/dev/null", "found a device, expected a regular file");
    server_folder_fini(&folder);
}

/* D9 */
static void test_largest(void **state)
{
    char *text = malloc(CP_CONFIG_LARGEST + 2);
    struct server_folder folder;
    char path[SERVER_PATH_SIZE];

    (void)state;
    assert_non_null(text);
    server_folder_init(&folder);
    server_folder_path(&folder, "app.json", path);
    memset(text, ' ', CP_CONFIG_LARGEST + 1);
    memcpy(text, "{\"pools\": {}}", 13);
    text[CP_CONFIG_LARGEST] = '\0';
    server_folder_write(&folder, "app.json", "%s", text);
    cp_config_free(must_load(path, NULL));
    text[CP_CONFIG_LARGEST] = ' ';
    text[CP_CONFIG_LARGEST + 1] = '\0';
    server_folder_write(&folder, "app.json", "%s", text);
    assert_file_refused(path, "found more than 1 MiB, expected at most 1 MiB");
    assert_refused(NULL, text, "configuration: found more than 1 MiB, expected at most 1 MiB");
    server_folder_fini(&folder);
    free(text);
}

/* D8: a million, and as many as fit. */
static void test_deepest(void **state)
{
    char *text = malloc(1000001);

    (void)state;
    assert_non_null(text);
    memset(text, '[', 1000000);
    text[1000000] = '\0';
    assert_refused(NULL, text,
                   "configuration: line 1, column 17: found nesting deeper than 16 levels, expected at most 16 levels");
    free(text);
}

static const char *certificate_of(const struct cp_config *config)
{
    const struct every_options *options = cp_options_struct(config->pools[0].endpoints[0].options);

    return options->certificate;
}

#define WITH_CERTIFICATE(path)                                                                                         \
    "{\"pools\": {\"db\": {\"manager\": \"every\", \"options\": {\"host\": \"h\", \"certificate\": \"" path "\"}}}}"

/* B26: paths are made absolute when they are read, whatever folder the process goes to later. */
static void test_relative_paths(void **state)
{
    char path[SERVER_PATH_SIZE], expected[SERVER_PATH_SIZE], before[4096];
    struct cp_config *config;
    struct server_folder folder;

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    server_folder_init(&folder);
    server_folder_write(&folder, "app.json", "%s", WITH_CERTIFICATE("ca.pem"));
    server_folder_path(&folder, "app.json", path);
    server_folder_path(&folder, "ca.pem", expected);
    config = must_load(path, NULL);
    assert_string_equal(certificate_of(config), expected);
    cp_config_free(config);
    assert_int_equal(chdir(folder.path), 0);
    config = must_load("app.json", NULL);
    assert_string_equal(certificate_of(config), expected);
    cp_config_free(config);
    config = must_load("./app.json", NULL);
    assert_string_equal(certificate_of(config), expected);
    cp_config_free(config);
    assert_int_equal(chdir(before), 0);
    server_folder_fini(&folder);
}

static void test_text_and_its_folder(void **state)
{
    struct connpool_options options = options_of(NULL, WITH_CERTIFICATE("./ca.pem"));
    struct cp_mistakes mistakes = {.count = 0};
    struct cp_config *config;
    connpool_error error;

    (void)state;
    assert_refused(NULL, options.json,
                   "configuration: /pools/db/options/certificate: found \"./ca.pem\", expected an absolute path");
    assert_refused(NULL, "{\"plugin_path\": [\"./a\"], \"pools\": {}}",
                   "configuration: /plugin_path/0: found \"./a\", expected an absolute folder: there is none that it "
                   "is relative to");
    options.folder = "/";
    config = cp_config_load(&options, &mistakes, &error);
    assert_non_null(config);
    assert_string_equal(certificate_of(config), "/ca.pem");
    cp_config_free(config);
    options.folder = "/nowhere/at/all";
    mistakes = (struct cp_mistakes){.count = 0};
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_string_equal(error.text, "configuration: found no folder for relative paths: No such file or directory");
}

/* Makes the German locale in the folder and goes over to it; false: this machine has not what it takes. */
static bool use_german(const struct server_folder *folder)
{
    static char where[64];
    char command[256];

    (void)snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
                   folder->path);
    (void)snprintf(where, sizeof(where), "LOCPATH=%s", folder->path);
    return system(command) == 0 && putenv(where) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

/* B26: where a comma is the decimal sign. */
static void test_locale(void **state)
{
    struct cp_option_source source = {.folder = "/"};
    struct cp_mistakes mistakes = {.origin = "F"};
    struct cp_option_block *defaults, *block;
    struct cp_config *config;
    struct server_folder folder;
    char *text;

    (void)state;
    server_folder_init(&folder);
    if (!use_german(&folder)) {
        server_folder_fini(&folder);
        skip();
    }
    assert_string_equal(localeconv()->decimal_point, ",");
    config = must_load(NULL, "{\"pools\": {\"a\": {\"manager\": \"bare\", \"idle_timeout\": 0.5}}}");
    assert_int_equal(config->pools[0].policy.idle_timeout, CP_SECOND / 2);
    text = cp_config_describe(config);
    assert_non_null(strstr(text, "\"idle_timeout\": 0.5"));
    cp_free(text);
    cp_config_free(config);
    defaults = cp_options_defaults(&every_option_manager, NULL, "", &source, &mistakes);
    block = cp_options_parse_text(&every_option_manager, defaults, "h!patience=0.25", NULL);
    assert_int_equal(((const struct every_options *)cp_options_struct(block))->patience, CP_SECOND / 4);
    cp_options_unref(block);
    cp_options_unref(defaults);
    (void)setlocale(LC_ALL, "C");
    server_folder_fini(&folder);
}

static void test_managers(void **state)
{
    struct connpool_options options = options_of(NULL, "{\"pools\": {\"a\": {\"manager\": \"nobody\"}}}");
    struct cp_mistakes mistakes = {.count = 0};
    struct connpool_manager broken = bare_manager;
    const struct connpool_manager *const list[] = {&broken};
    connpool_error error;

    (void)state;
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_int_equal(error.status, CONNPOOL_PLUGIN_ERROR);
    assert_non_null(strstr(error.text, "configuration: /pools/a/manager: "));
    assert_non_null(strstr(error.text, "nobody"));
    broken.open = NULL;
    options.managers = list;
    options.manager_count = 1;
    mistakes = (struct cp_mistakes){.count = 0};
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_non_null(strstr(error.text, "open"));
}

static int32_t refuse_pool(void *pool, struct connpool_fault *fault)
{
    (void)pool;
    fault->error_class = CONNPOOL_ERROR_CONFIGURATION;
    (void)snprintf(fault->text, sizeof(fault->text), "no certificate in it");
    return -CONNPOOL_ERROR_CONFIGURATION;
}

static void keep_mistake(void *argument, const char *text)
{
    (void)snprintf(argument, 512, "%s", text);
}

/* connpool_check finds also what only the manager can know. */
static void test_check_asks_the_manager(void **state)
{
    static struct connpool_manager picky;
    const struct connpool_manager *const list[] = {&picky};
    struct connpool_options options = options_of(NULL, "{\"pools\": {\"a\": {\"manager\": \"bare\"}}}");
    char mistake[512] = "", *understood = NULL;
    connpool_error error;

    (void)state;
    picky = bare_manager;
    picky.pool_size = sizeof(struct connpool_head);
    picky.pool_init = refuse_pool;
    options.managers = list;
    options.manager_count = 1;
    assert_int_equal(connpool_check(&options, keep_mistake, mistake, &understood, &error), CONNPOOL_INVALID);
    assert_non_null(strstr(mistake, "no certificate in it"));
    assert_string_equal(error.text, mistake);
    assert_null(understood);
    assert_int_equal(connpool_check(&options, NULL, NULL, NULL, NULL), CONNPOOL_INVALID);
}

/* The application's struct may be of another version. */
static void test_options_struct(void **state)
{
    struct connpool_options options = options_of(NULL, "{\"pools\": {}}");
    struct connpool_options longer[2] = {options, {.size = 0}};
    struct cp_mistakes mistakes = {.count = 0};
    connpool_error error;

    (void)state;
    longer[0].size = sizeof(longer);
    cp_config_free(cp_config_load(longer, &mistakes, &error));
    assert_int_equal(mistakes.count, 0);
    options.size = offsetof(struct connpool_options, plugin_path);
    cp_config_free(cp_config_load(&options, &mistakes, &error));
    assert_int_equal(mistakes.count, 0);
    options.size = 0;
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_string_equal(error.text, "configuration: connpool_options: found no size, expected its size");
    options = options_of("/a", "{}");
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_null(cp_config_load(NULL, &mistakes, &error));
    options = options_of(NULL, NULL);
    assert_null(cp_config_load(&options, &mistakes, &error));
    options = options_of(NULL, "{\"pools\": {}}");
    options.flags = 1u << 31;
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_int_equal(error.status, CONNPOOL_INVALID);
}

/* One name stands for one manager (failures.md E13); the same table twice is the same manager. */
static void test_managers_from_code_are_told_apart(void **state)
{
    static struct connpool_manager other;
    const struct connpool_manager *list[] = {&every_option_manager, NULL};
    struct connpool_options options = options_of(NULL, "{\"pools\": {}}");
    struct cp_mistakes mistakes = {.count = 0};
    connpool_error error;

    (void)state;
    options.managers = list;
    options.manager_count = 2;
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_string_equal(error.text, "configuration: connpool_options: found NULL among the managers, expected a table");
    list[1] = &every_option_manager;
    mistakes = (struct cp_mistakes){.count = 0};
    cp_config_free(cp_config_load(&options, &mistakes, &error));
    assert_int_equal(mistakes.count, 0);
    other = every_option_manager;
    list[1] = &other;
    assert_null(cp_config_load(&options, &mistakes, &error));
    assert_int_equal(mistakes.count, 1);
    assert_string_equal(error.text,
                        "configuration: found two managers from code that are named \"every\", expected one");
}

/* Many endpoints: nothing is done for each pair of them. */
static void test_many_endpoints(void **state)
{
    char *text = malloc(CP_CONFIG_LARGEST);
    struct cp_config *config;
    size_t length;

    (void)state;
    assert_non_null(text);
    length = (size_t)snprintf(text, CP_CONFIG_LARGEST, "{\"pools\": {\"a\": {\"manager\": \"every\", \"endpoints\": {");
    for (int i = 0; i < 20000; i++) {
        length += (size_t)snprintf(text + length, CP_CONFIG_LARGEST - length, "%s\"%d\": {\"host\": \"h%d\"}",
                                   i == 0 ? "" : ", ", i, i);
    }
    (void)snprintf(text + length, CP_CONFIG_LARGEST - length, "}}}}");
    config = must_load(NULL, text);
    assert_int_equal(config->pools[0].endpoint_count, 20000);
    cp_config_free(config);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_made),
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_deepest),
        cmocka_unit_test(test_relative_paths),
        cmocka_unit_test(test_text_and_its_folder),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_managers),
        cmocka_unit_test(test_check_asks_the_manager),
        cmocka_unit_test(test_options_struct),
        cmocka_unit_test(test_managers_from_code_are_told_apart),
        cmocka_unit_test(test_many_endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
