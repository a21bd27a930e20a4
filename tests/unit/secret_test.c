/* SPDX-License-Identifier: MIT */
/* secret: references to secrets. Failures D14 (every case), D2, D22; security S17, S18, S20 to S22. */
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <connpool/connpool.h>

#include "base/complaint.h"
#include "configuration/config_json.h"
#include "options/secret.h"

#define SECRET "hunter2"

static char folder[] = "/tmp/connpool-secret-XXXXXX";

static void path_of(const char *name, char path[256])
{
    (void)snprintf(path, 256, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *content, size_t size, mode_t mode)
{
    char path[256];
    int fd;

    path_of(name, path);
    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

/* The secret that JSON text refers to; NULL: *complaint says why, and holds no secret. */
static char *read_json(const char *text, bool allow_inline, struct cp_complaint *complaint)
{
    struct cp_option_source source = {.folder = folder, .allow_inline_secrets = allow_inline};
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    char *secret;

    assert_non_null(json);
    memset(complaint, 0, sizeof(*complaint));
    secret = cp_secret_read(json, &source, complaint);
    json_decref(json);
    assert_null(strstr(complaint->text, SECRET));
    assert_int_equal(secret == NULL, complaint->text[0] != '\0');
    return secret;
}

static void assert_secret(const char *json, const char *expected)
{
    struct cp_complaint complaint;
    char *secret = read_json(json, false, &complaint);

    assert_string_equal(complaint.text, "");
    assert_string_equal(secret, expected);
    cp_secret_free(secret);
}

static void assert_refused(const char *json, const char *expected)
{
    struct cp_complaint complaint;

    assert_null(read_json(json, false, &complaint));
    assert_string_equal(complaint.text, expected);
}

static void test_variable(void **state)
{
    (void)state;
    assert_secret("{\"env\": \"CONNPOOL_TEST_SECRET\"}", SECRET);
    assert_refused("{\"env\": \"CONNPOOL_TEST_NOWHERE\"}",
                   "found {\"env\": \"CONNPOOL_TEST_NOWHERE\"}, expected that variable in the environment");
    assert_refused("{\"env\": \"CONNPOOL_TEST_EMPTY\"}",
                   "found {\"env\": \"CONNPOOL_TEST_EMPTY\"}, which is empty, expected a secret in it");
    assert_refused("{\"env\": \"\"}",
                   "found {\"env\": …} with text that is no variable's name, expected letters, digits and _");
    assert_refused("{\"env\": \"hunter2=\"}",
                   "found {\"env\": …} with text that is no variable's name, expected letters, digits and _");
}

static const struct {
    const char *content, *secret; /* NULL: refused as empty */
} line_ends[] = {
    {SECRET, SECRET},
    {SECRET "\n", SECRET},
    {SECRET "\r\n", SECRET},
    {SECRET "\n\n", SECRET "\n"},
    {SECRET "\r", SECRET "\r"},
    {" " SECRET " ", " " SECRET " "},
    {"", NULL},
    {"\n", NULL},
    {"\r\n", NULL},
};

static void test_line_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(line_ends) / sizeof(line_ends[0]); i++) {
        write_file("secret", line_ends[i].content, strlen(line_ends[i].content), 0600);
        if (line_ends[i].secret != NULL) {
            assert_secret("{\"file\": \"secret\"}", line_ends[i].secret);
        } else {
            assert_refused("{\"file\": \"secret\"}",
                           "found {\"file\": \"secret\"}, which is empty, expected a secret in it");
        }
    }
}

static void test_content(void **state)
{
    static char large[64 * 1024 + 1];
    struct cp_complaint complaint;
    char *secret;

    (void)state;
    write_file("nul", SECRET "\0x", sizeof(SECRET) + 1, 0600);
    assert_refused("{\"file\": \"nul\"}", "found {\"file\": \"nul\"} with a NUL in it, expected text");
    memset(large, 'a', sizeof(large));
    write_file("large", large, sizeof(large), 0600);
    assert_refused("{\"file\": \"large\"}", "found {\"file\": \"large\"}, expected at most 64 KiB");
    write_file("large", large, sizeof(large) - 1, 0600);
    secret = read_json("{\"file\": \"large\"}", false, &complaint);
    assert_int_equal(strlen(secret), sizeof(large) - 1);
    cp_secret_free(secret);
}

static void test_modes(void **state)
{
    static const mode_t open_modes[] = {0644, 0640, 0604, 0620, 0602, 0610, 0601, 0660};

    (void)state;
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        write_file("open", SECRET, strlen(SECRET), open_modes[i]);
        assert_refused("{\"file\": \"open\"}",
                       "found {\"file\": \"open\"}, expected a file closed to group and others (mode 0600)");
    }
    write_file("closed", SECRET, strlen(SECRET), 0400);
    assert_secret("{\"file\": \"closed\"}", SECRET);
}

static void test_owner(void **state)
{
    char path[256], link[256];

    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    write_file("foreign", SECRET, strlen(SECRET), 0600);
    path_of("foreign", path);
    path_of("link", link);
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(symlink(path, link), 0);
    assert_refused("{\"file\": \"foreign\"}",
                   "found {\"file\": \"foreign\"}, expected a file owned by root or the effective user");
    assert_refused("{\"file\": \"link\"}",
                   "found {\"file\": \"link\"}, expected a file owned by root or the effective user");
}

static void test_what_is_no_file(void **state)
{
    char path[256];

    (void)state;
    path_of("fifo", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused("{\"file\": \"fifo\"}", "found {\"file\": \"fifo\"}, expected a regular file");
    assert_refused("{\"file\": \"/dev/zero\"}", "found {\"file\": \"/dev/zero\"}, expected a regular file");
    assert_refused("{\"file\": \".\"}", "found {\"file\": \".\"}, expected a regular file");
    path_of("loop", path);
    assert_int_equal(symlink("loop", path), 0);
    assert_refused("{\"file\": \"loop\"}",
                   "found {\"file\": \"loop\"} that cannot be opened: Too many levels of symbolic links");
    assert_refused("{\"file\": \"nowhere\"}",
                   "found {\"file\": \"nowhere\"} that cannot be opened: No such file or directory");
    assert_refused("{\"file\": \"a\\nb\"}",
                   "found {\"file\": …} with an empty path or a control character, expected a path");
}

/* S17 */
static void test_literal(void **state)
{
    struct cp_complaint complaint;
    char *secret = read_json("\"" SECRET "\"", true, &complaint);

    (void)state;
    assert_string_equal(secret, SECRET);
    cp_secret_free(secret);
    assert_null(read_json("\"" SECRET "\"", false, &complaint));
    assert_null(read_json("\"\"", true, &complaint));
    assert_null(read_json("{\"env\": \"A\", \"x\": \"" SECRET "\"}", true, &complaint));
    assert_null(read_json("[\"" SECRET "\"]", true, &complaint));
    assert_null(read_json("5", true, &complaint));
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(cp_secret_equal(NULL, NULL));
    assert_false(cp_secret_equal(NULL, ""));
    assert_true(cp_secret_equal("a", "a"));
    assert_false(cp_secret_equal("a", "b"));
    assert_false(cp_secret_equal("a", "ab"));
    assert_false(cp_secret_equal("ab", "a"));
}

/* D22, S21: the pages of a secret are marked as not to be dumped ("dd" in the kernel's list of them). */
static void test_not_in_core_files(void **state)
{
    struct cp_complaint complaint;
    char *secret = read_json("{\"env\": \"CONNPOOL_TEST_SECRET\"}", false, &complaint);
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool is_inside = false, is_marked = false;

    (void)state;
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            is_inside = (uintptr_t)secret >= start && (uintptr_t)secret < end;
        } else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            is_marked = strstr(line, " dd") != NULL;
        }
    }
    (void)fclose(maps);
    cp_secret_free(secret);
    assert_true(is_marked);
}

static size_t released_with_secret;

static void *allocate(void *argument, size_t size)
{
    (void)argument;
    return malloc(size);
}

/* Looks whether the secret is still in memory that is given back. */
static void release(void *argument, void *memory)
{
    (void)argument;
    released_with_secret += memmem(memory, malloc_usable_size(memory), SECRET, strlen(SECRET)) != NULL;
    free(memory);
}

/* S20: from a file, from a variable and refused: all that held it is wiped. */
static void test_wiped(void **state)
{
    const struct connpool_allocator allocator = {.size = sizeof(allocator), .allocate = allocate, .release = release};
    struct cp_complaint complaint;

    (void)state;
    assert_int_equal(connpool_use_allocator(&allocator), CONNPOOL_OK);
    write_file("secret", SECRET "\n", strlen(SECRET) + 1, 0600);
    assert_secret("{\"file\": \"secret\"}", SECRET);
    assert_secret("{\"env\": \"CONNPOOL_TEST_SECRET\"}", SECRET);
    cp_secret_free(read_json("\"" SECRET "\"", true, &complaint));
    write_file("nul", SECRET "\0x", sizeof(SECRET) + 1, 0600);
    assert_refused("{\"file\": \"nul\"}", "found {\"file\": \"nul\"} with a NUL in it, expected text");
    assert_int_equal(connpool_use_allocator(NULL), CONNPOOL_OK);
    assert_int_equal(released_with_secret, 0);
}

static void release_json(void *memory)
{
    release(NULL, memory);
}

/* S20: what the parser made of a literal. Its own buffer holds what it read last, which here is no secret. */
static void test_a_literal_in_json_is_wiped(void **state)
{
    const char *text = "{\"password\": \"" SECRET "\", \"list\": [\"" SECRET "\", {\"again\": \"" SECRET "\"}],"
                       " \"x-what-is-longer-than-the-secret\": \"and-so-is-this-text-of-no-importance\"}";
    struct cp_mistakes mistakes = {.count = 0};

    (void)state;
    released_with_secret = 0;
    json_set_alloc_funcs(malloc, release_json);
    cp_config_json_free(cp_config_json_parse(text, strlen(text), &mistakes));
    cp_config_json_free(NULL);
    json_set_alloc_funcs(malloc, free);
    assert_false(cp_mistakes_any(&mistakes));
    assert_int_equal(released_with_secret, 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"secret",  "nul",  "large", "open", "closed",
                                        "foreign", "link", "fifo",  "loop", "program"};
    char path[256];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        (void)unlink(path);
    }
    return rmdir(folder);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void copy_program(const char *path)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    char buffer[65536];
    ssize_t length;

    assert_true(from >= 0 && to >= 0);
    while ((length = read(from, buffer, sizeof(buffer))) > 0) {
        assert_int_equal(write(to, buffer, (size_t)length), length);
    }
    assert_int_equal(length, 0);
    (void)close(from);
    (void)close(to);
}

/* Exit status of this program's copy, run with the word "variable": 0 the secret was read, 1 not. */
static int run_program(const char *path)
{
    pid_t child = fork();
    int status;

    assert_int_not_equal(child, -1);
    if (child == 0) {
        execl(path, path, "variable", (char *)NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#endif

/* S23. Only root can make the program another user's; and the sanitizers' start does not survive a set-uid exec. */
static void test_a_set_uid_program_reads_no_variable(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#else
    char path[256];

    if (geteuid() != 0) {
        skip();
    }
    path_of("program", path);
    copy_program(path);
    assert_int_equal(setenv("CONNPOOL_TEST_SECRET", SECRET, 1), 0);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(run_program(path), 0);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(chmod(path, 04755), 0);
    assert_int_equal(run_program(path), 1);
    assert_int_equal(unsetenv("CONNPOOL_TEST_SECRET"), 0);
    (void)unlink(path);
#endif
}

static int read_variable_and_end(void)
{
    struct cp_complaint complaint;
    char *secret = read_json("{\"env\": \"CONNPOOL_TEST_SECRET\"}", false, &complaint);
    bool is_read = secret != NULL;

    cp_secret_free(secret);
    return is_read ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "variable") == 0) {
        return read_variable_and_end();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variable),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_not_in_core_files),
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_a_literal_in_json_is_wiped),
        cmocka_unit_test(test_a_set_uid_program_reads_no_variable),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
