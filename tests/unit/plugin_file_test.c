/* SPDX-License-Identifier: MIT */
/* plugin_file and trust: where a name is looked for, and which files and folders are refused before anything of them is
 * run. */
#include "plugin/plugin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../plugins/sandbox.h"

static const struct cp_plugin_search no_folders = {0};

static bool open_by(const char *name, const struct cp_plugin_search *search, connpool_error *error)
{
    struct cp_plugin_file file;
    bool found = cp_plugin_file_open(&file, name, search, error);
    if (found) {
        cp_plugin_file_close(&file);
    } else {
        assert_int_equal(file.descriptor, -1);
        assert_null(file.path);
    }
    return found;
}

static void assert_accepted(const char *name, const struct cp_plugin_search *search)
{
    connpool_error error = {0};
    if (!open_by(name, search, &error)) {
        fail_msg("%s", error.text);
    }
}

static void assert_refused_because(const char *name, const struct cp_plugin_search *search, const char *const *words)
{
    connpool_error error = {0};
    assert_false(open_by(name, search, &error));
    sandbox_assert_refused(&error, words);
}
#define assert_path_refused(path, ...)                                                                                 \
    assert_refused_because((path), &no_folders, (const char *const[]){__VA_ARGS__, NULL})

static struct sandbox_path make_folder(const char *parent, const char *name, mode_t mode)
{
    struct sandbox_path path = sandbox_join(parent, name);
    assert_int_equal(mkdir(path.text, 0700), 0);
    assert_int_equal(chmod(path.text, mode), 0);
    return path;
}

/* Go on as that user; only for root. */
static void become(uid_t user)
{
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(seteuid(user), 0);
}

static void file_is_opened_by_path(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    struct cp_plugin_file file;
    connpool_error error;
    struct stat status;
    assert_true(cp_plugin_file_open(&file, path.text, &no_folders, &error));
    assert_string_equal(file.path, path.text);
    assert_string_equal(file.name, "good");
    assert_int_equal(stat(path.text, &status), 0);
    assert_true(file.device == status.st_dev && file.inode == status.st_ino);
    assert_int_equal(fcntl(file.descriptor, F_GETFD), FD_CLOEXEC);
    cp_plugin_file_close(&file);
}

static void first_folder_that_has_the_file_wins(void **state)
{
    struct sandbox_path first = make_folder(*state, "first", 0755);
    struct sandbox_path second = make_folder(*state, "second", 0755);
    struct sandbox_path third = make_folder(*state, "third", 0755);
    struct sandbox_path absent = sandbox_join(*state, "absent");
    struct sandbox_path wanted = sandbox_plugin(second.text, "good");
    (void)sandbox_plugin(third.text, "good");
    char *folders[] = {absent.text, first.text, second.text, third.text, NULL};
    struct cp_plugin_search search = {.folders = folders};
    struct cp_plugin_file file;
    connpool_error error;
    assert_true(cp_plugin_file_open(&file, "good", &search, &error));
    assert_string_equal(file.path, wanted.text);
    cp_plugin_file_close(&file);
}

static void environment_is_searched_after_the_folders(void **state)
{
    struct sandbox_path first = make_folder(*state, "first", 0755);
    struct sandbox_path second = make_folder(*state, "second", 0755);
    char *folders[] = {first.text, NULL};
    struct cp_plugin_search search = {.folders = folders};
    struct cp_plugin_file file;
    connpool_error error;
    char list[2 * PATH_MAX];
    struct sandbox_path wanted = sandbox_plugin(second.text, "good");
    (void)snprintf(list, sizeof(list), "::/nowhere:%s:", second.text);
    assert_int_equal(setenv("CONNPOOL_PLUGIN_PATH", list, 1), 0);
    assert_true(cp_plugin_file_open(&file, "good", &search, &error));
    assert_string_equal(file.path, wanted.text);
    cp_plugin_file_close(&file);

    wanted = sandbox_plugin(first.text, "good");
    assert_true(cp_plugin_file_open(&file, "good", &search, &error));
    assert_string_equal(file.path, wanted.text);
    cp_plugin_file_close(&file);

    assert_int_equal(setenv("CONNPOOL_PLUGIN_PATH", "relative/folder", 1), 0);
    assert_refused_because("better", &search,
                           (const char *const[]){"CONNPOOL_PLUGIN_PATH", "absolute", "relative/folder", NULL});
    assert_int_equal(unsetenv("CONNPOOL_PLUGIN_PATH"), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Exit status of this program's copy, run with the word "search": 0 found, 1 not found. */
static int run_search(const char *program)
{
    int status;
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        execl(program, program, "search", (char *)NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#endif

/* Only root can make the program another user's; and the sanitizers' start does not survive a set-uid exec. */
static void e24_set_uid_program_does_not_read_the_environment(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip();
#else
    struct sandbox_path program = sandbox_join(*state, "program");
    size_t size;
    if (geteuid() != 0) {
        skip();
    }
    char *content = sandbox_read("/proc/self/exe", &size);
    sandbox_write(program.text, content, size);
    free(content);
    (void)sandbox_plugin(*state, "good");
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(setenv("CONNPOOL_PLUGIN_PATH", *state, 1), 0);

    assert_int_equal(chmod(program.text, 0755), 0);
    assert_int_equal(run_search(program.text), 0);
    assert_int_equal(chown(program.text, 12345, 0), 0);
    assert_int_equal(chmod(program.text, 04755), 0);
    assert_int_equal(run_search(program.text), 1);
    assert_int_equal(unsetenv("CONNPOOL_PLUGIN_PATH"), 0);
#endif
}

static void e1_missing_file_names_the_folders(void **state)
{
    struct sandbox_path first = make_folder(*state, "first", 0755);
    struct sandbox_path path = sandbox_join(first.text, "connpool_good.so");
    char *folders[] = {first.text, "/nowhere", NULL};
    struct cp_plugin_search search = {.folders = folders};
    assert_refused_because(
        "good", &search,
        (const char *const[]){"'good'", "connpool_good.so", first.text, "/nowhere", connpool_plugin_folder(), NULL});
    assert_path_refused(path.text, path.text, "No such file");
}

/* E12: a name is not a path, and a path is absolute. */
static void e12_name_keeps_its_grammar(void **state)
{
    static const char *const wrong[] = {"",    "../x", "x/y", "./connpool_x.so", "Tcp", "a\nb", "tcp.so", "~/plugin",
                                        "a_b", "-a",   "1"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_refused_because(wrong[i], &no_folders, (const char *const[]){"[a-z][a-z0-9-]{0,31}", "found '", NULL});
    }
    assert_refused_because("a\n\x1b[2J", &no_folders, (const char *const[]){"found 'a??[2J'", NULL});
    assert_path_refused("/tmp/plugin.so", "file name", "connpool_NAME.so", "found 'plugin.so'");
    assert_path_refused("/", "file name", "found ''");
}

/* E5: each of these would hang or mislead dlopen. */
static void e5_only_a_regular_file_is_opened(void **state)
{
    struct sandbox_path path = sandbox_join(*state, "connpool_good.so");
    struct sandbox_path target = sandbox_plugin_as(*state, "good", "connpool_better.so");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_int_equal(mkfifo(path.text, 0600), 0);
    assert_path_refused(path.text, path.text, "expected a regular file, found a FIFO");
    assert_int_equal(unlink(path.text), 0);

    assert_int_equal(mkdir(path.text, 0700), 0);
    assert_path_refused(path.text, path.text, "expected a regular file, found a folder");
    assert_int_equal(rmdir(path.text), 0);

    assert_int_equal(symlink(target.text, path.text), 0);
    assert_path_refused(path.text, path.text, "expected a regular file, found a symbolic link");
    assert_int_equal(unlink(path.text), 0);

    assert_int_equal(symlink("nowhere", path.text), 0);
    assert_path_refused(path.text, path.text, "expected a regular file, found a symbolic link");
    assert_int_equal(unlink(path.text), 0);

    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_in_range(strlen(path.text), 1, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path.text, strlen(path.text));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_path_refused(path.text, path.text, "cannot open");
    assert_int_equal(close(listener), 0);

    assert_accepted(target.text, &no_folders);
}

static void e5_file_without_permission_is_refused(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    bool is_root = geteuid() == 0;
    assert_int_equal(chmod(path.text, 0), 0);
    if (is_root) {
        assert_int_equal(chmod(*state, 0755), 0);
        become(12345);
    }
    assert_path_refused(path.text, "cannot open", "Permission denied");
    if (is_root) {
        become(0);
        assert_int_equal(chmod(*state, 0700), 0);
        become(12345);
        assert_path_refused(path.text, "Permission denied");
        become(0);
    }
}

static void e24_modes_of_a_file(void **state)
{
    static const mode_t good[] = {0400, 0444, 0500, 0600, 0644, 0700, 0755, 0555};
    static const mode_t bad[] = {0620, 0602, 0622, 0664, 0646, 0666, 0775, 0757, 0777, 01666, 04775};
    struct sandbox_path path = sandbox_plugin(*state, "good");
    struct cp_plugin_search any = {.flags = CONNPOOL_OPEN_TRUST_ANY_OWNER};
    char found[32];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(chmod(path.text, good[i]), 0);
        assert_accepted(path.text, &no_folders);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chmod(path.text, bad[i]), 0);
        (void)snprintf(found, sizeof(found), "found mode %04o", (unsigned)bad[i]);
        assert_path_refused(path.text, path.text, "file: expected not to be writable", found);
        assert_accepted(path.text, &any);
    }
}

static void e24_modes_of_a_folder(void **state)
{
    static const mode_t good[] = {0500, 0700, 0711, 0755, 01755, 01777, 01775};
    static const mode_t bad[] = {0720, 0702, 0770, 0775, 0757, 0777, 02775};
    struct sandbox_path outer = make_folder(*state, "outer", 0755);
    struct sandbox_path inner = make_folder(outer.text, "inner", 0755);
    struct sandbox_path path = sandbox_plugin(inner.text, "good");
    struct cp_plugin_search any = {.flags = CONNPOOL_OPEN_TRUST_ANY_OWNER};
    const char *const folders[] = {outer.text, inner.text};
    char found[32];
    for (size_t at = 0; at < 2; at++) {
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
            assert_int_equal(chmod(folders[at], good[i]), 0);
            assert_accepted(path.text, &no_folders);
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            assert_int_equal(chmod(folders[at], bad[i]), 0);
            (void)snprintf(found, sizeof(found), "found mode %04o", (unsigned)bad[i]);
            assert_path_refused(path.text, path.text, at == 0 ? "folder 'outer'" : "folder 'inner'", found);
            assert_accepted(path.text, &any);
        }
        assert_int_equal(chmod(folders[at], 0755), 0);
    }
}

static void e24_other_owners_are_refused(void **state)
{
    struct sandbox_path outer = make_folder(*state, "outer", 0755);
    struct sandbox_path path = sandbox_plugin(outer.text, "good");
    struct cp_plugin_search any = {.flags = CONNPOOL_OPEN_TRUST_ANY_OWNER};
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chown(path.text, 12345, 0), 0);
    assert_path_refused(path.text, path.text, "file: expected to belong to root or user 0, found user 12345");
    assert_accepted(path.text, &any);
    assert_int_equal(chown(path.text, 0, 0), 0);
    assert_int_equal(chown(outer.text, 12345, 0), 0);
    assert_path_refused(path.text, "folder 'outer': expected to belong to root or user 0, found user 12345");
    assert_accepted(path.text, &any);
}

/* The effective user counts, and root's files are good for everybody. */
static void e24_owner_may_be_root_or_the_effective_user(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chmod(*state, 0755), 0);
    become(12345);
    assert_accepted(path.text, &no_folders);
    become(0);
    assert_int_equal(chown(path.text, 12345, 0), 0);
    become(12345);
    assert_accepted(path.text, &no_folders);
    become(12346);
    assert_path_refused(path.text, "file: expected to belong to root or user 12346, found user 12345");
    become(0);
}

/* Folders may be reached by symbolic links; where these lie counts as well. */
static void e24_symbolic_links_to_folders(void **state)
{
    struct sandbox_path real = make_folder(*state, "real", 0755);
    struct sandbox_path open_folder = make_folder(*state, "open", 0755);
    struct sandbox_path relative = sandbox_join(open_folder.text, "relative");
    struct sandbox_path absolute = sandbox_join(*state, "absolute");
    struct sandbox_path loop = sandbox_join(*state, "loop");
    (void)sandbox_plugin(real.text, "good");
    assert_int_equal(symlink("../real/./", relative.text), 0);
    assert_int_equal(symlink(relative.text, absolute.text), 0);
    assert_int_equal(symlink("loop", loop.text), 0);
    struct sandbox_path path = sandbox_join(absolute.text, "connpool_good.so");
    assert_accepted(path.text, &no_folders);

    assert_int_equal(chmod(open_folder.text, 0777), 0);
    assert_path_refused(path.text, path.text, "folder 'open'", "found mode 0777");
    assert_int_equal(chmod(open_folder.text, 0755), 0);
    assert_accepted(path.text, &no_folders);

    if (geteuid() == 0) {
        assert_int_equal(lchown(relative.text, 12345, 0), 0);
        assert_path_refused(path.text, "symbolic link", "found user 12345");
    }
    path = sandbox_join(loop.text, "connpool_good.so");
    assert_path_refused(path.text, "Too many levels of symbolic links");
}

/* A folder that cannot be trusted hides nothing: where the file is not in it, the search goes on. */
static void e24_untrusted_folder_matters_where_it_has_the_file(void **state)
{
    struct sandbox_path open_folder = make_folder(*state, "open", 0777);
    struct sandbox_path good = make_folder(*state, "good", 0755);
    char *folders[] = {open_folder.text, good.text, NULL};
    struct cp_plugin_search search = {.folders = folders};
    (void)sandbox_plugin(good.text, "good");
    assert_accepted("good", &search);
    (void)sandbox_plugin(open_folder.text, "good");
    assert_refused_because("good", &search,
                           (const char *const[]){open_folder.text, "folder 'open'", "found mode 0777", NULL});
}

static void relative_folder_of_the_search_is_refused(void **state)
{
    char *folders[] = {"plugins", NULL};
    struct cp_plugin_search search = {.folders = folders};
    (void)state;
    assert_refused_because("good", &search, (const char *const[]){"absolute folders", "'plugins'", NULL});
}

static void long_paths_are_refused_whole(void **state)
{
    char name[5000];
    (void)state;
    memset(name, 'x', sizeof(name));
    memcpy(name, "/tmp/", 5);
    memcpy(name + 4900, "/connpool_good.so", 18);
    assert_path_refused(name, "...x", "File name too long");
    memcpy(name + 300, "/connpool_good.so", 18);
    assert_path_refused(name, "File name too long");
}

static void e21_replaced_file_is_noticed(void **state)
{
    struct sandbox_path path = sandbox_plugin(*state, "good");
    struct sandbox_path other = sandbox_plugin(*state, "better");
    struct cp_plugin_file file;
    connpool_error error = {0};
    assert_true(cp_plugin_file_open(&file, path.text, &no_folders, &error));
    assert_true(cp_plugin_file_unchanged(&file, &error));
    assert_int_equal(rename(other.text, path.text), 0);
    assert_false(cp_plugin_file_unchanged(&file, &error));
    assert_refused(&error, path.text, "replaced while it was loaded: expected inode");
    assert_int_equal(unlink(path.text), 0);
    assert_false(cp_plugin_file_unchanged(&file, &error));
    assert_refused(&error, path.text, "went away", "No such file");
    cp_plugin_file_close(&file);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "search") == 0) {
        return open_by("good", &no_folders, NULL) ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_is_opened_by_path, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(first_folder_that_has_the_file_wins, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(environment_is_searched_after_the_folders, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_set_uid_program_does_not_read_the_environment, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(e1_missing_file_names_the_folders, sandbox_setup, sandbox_teardown),
        cmocka_unit_test(e12_name_keeps_its_grammar),
        cmocka_unit_test_setup_teardown(e5_only_a_regular_file_is_opened, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e5_file_without_permission_is_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_modes_of_a_file, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_modes_of_a_folder, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_other_owners_are_refused, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_owner_may_be_root_or_the_effective_user, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_symbolic_links_to_folders, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(e24_untrusted_folder_matters_where_it_has_the_file, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test(relative_folder_of_the_search_is_refused),
        cmocka_unit_test(long_paths_are_refused_whole),
        cmocka_unit_test_setup_teardown(e21_replaced_file_is_noticed, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
