/* SPDX-License-Identifier: MIT */
/* The README, followed step by step in an empty folder: readme.sh, with a web server of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "server_folder.h"
#include "server_nginx.h"

static void the_readme_is_true(void **state)
{
    struct server_folder folder;
    struct server_nginx nginx;
    char command[1024];
    int result;

    (void)state;
    server_folder_init(&folder);
    server_nginx_start(&nginx, &folder, 60, 100);
    (void)snprintf(command, sizeof(command), "cd '%s' && tests/readme/readme.sh '%s' %s", CONNPOOL_TEST_SOURCE_FOLDER,
                   CONNPOOL_TEST_BINARY_FOLDER, nginx.endpoint_ipv4);
    result = system(command);
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_readme_is_true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
