/* SPDX-License-Identifier: MIT */
/* OpenSSL without memory: each of its allocations in turn fails while a TLS connection is opened and used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tls.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "certificates.h"
#include "harness.h"
#include "server_folder.h"
#include "server_tls.h"

#define ROUNDS_MAXIMUM 100000

/* ---- OpenSSL's memory */

static __thread long countdown = -1; /* of this thread: allocations until the one that fails; negative: none */

static bool fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : malloc(size);
}

static void *retake(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : realloc(memory, size);
}

static void give(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* ---- Servers */

static struct server_folder folder;
static struct certificates certificates;
static struct server_tls server;

static int begin(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_folder_fini(&folder);
    return 0;
}

static connpool *open_context(void)
{
    return harness_open("{\"pools\": {\"p\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"%s/ca.pem\"},"
                        " \"endpoints\": {\"s\": {\"host\": \"localhost\", \"port\": %u}}}}}",
                        folder.path, server.port);
}

/* Open a connection, while the allocation of that number fails. */
static connpool_status open_one(connpool_pool *pool, long number, connpool_error *error)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status;

    countdown = number;
    status = connpool_acquire(pool, "s", HARNESS_LIMIT_MS, &lease, error);
    if (status == CONNPOOL_OK) {
        harness_release(&lease);
        connpool_pool_drain(pool);
    }
    return status;
}

/*
 * OpenSSL does not always say that it was memory; but never is it the server's word on who we are. A key that could not
 * be read for lack of memory is, to OpenSSL, one that is too weak: so that may look like a bad certificate.
 */
static void judge(const connpool_error *error)
{
    switch (error->error_class) {
    case CONNPOOL_ERROR_RESOURCE_LOCAL:
    case CONNPOOL_ERROR_INTERNAL:
    case CONNPOOL_ERROR_PROTOCOL:
        return;
    case CONNPOOL_ERROR_TRUST:
        assert_non_null(strstr(error->text, "key too weak"));
        return;
    default:
        fail_msg("class %s: %s", connpool_error_class_text(error->error_class), error->text);
    }
}

static void each_allocation_fails(const struct server_tls_options *options)
{
    connpool *context;
    connpool_pool *pool;
    unsigned failed = 0;

    server_tls_start(&server, &folder, options);
    context = open_context();
    pool = harness_pool(context);
    for (long number = 0; countdown < 0; number++) {
        connpool_error error = {.text = ""};

        assert_in_range(number, 0, ROUNDS_MAXIMUM);
        if (open_one(pool, number, &error) != CONNPOOL_OK) {
            judge(&error);
            failed++;
        }
        assert_int_equal(ERR_peek_error(), 0);
        if (server_tls_accepted(&server) == SERVER_TLS_CONNECTIONS) {
            server_tls_kill(&server);
            server_tls_restart(&server);
        }
    }
    countdown = -1;
    assert_true(failed > 0);
    assert_int_equal(harness_statistics(pool).failed, failed);
    harness_close(context);
    server_tls_stop(&server);
}

/* B19 */
static void of_tls_1_3(void **state)
{
    (void)state;
    each_allocation_fails(NULL);
}

static void of_tls_1_2(void **state)
{
    static const struct server_tls_options old = {.maximum_version = TLS1_2_VERSION};

    (void)state;
    each_allocation_fails(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_tls_1_3),
        cmocka_unit_test(of_tls_1_2),
    };

    if (CRYPTO_set_mem_functions(take, retake, give) != 1) {
        return 1;
    }
    return cmocka_run_group_tests(tests, begin, end);
}
