/* SPDX-License-Identifier: MIT */
/* tls_harness: what the tests of the manager tls do all the time. */
#include "tls_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define JSON_SIZE 1536

struct tls_harness tls_harness;

int tls_harness_begin(void **state)
{
    (void)state;
    server_folder_init(&tls_harness.folder);
    certificates_init(&tls_harness.certificates, &tls_harness.folder);
    certificates_issue(&tls_harness.certificates, "server", NULL);
    return 0;
}

int tls_harness_end(void **state)
{
    (void)state;
    tls_harness_stop();
    server_folder_fini(&tls_harness.folder);
    return 0;
}

void tls_harness_serve(const struct server_tls_options *options)
{
    tls_harness_stop();
    tls_harness.is_serving = true;
    server_tls_start(&tls_harness.server, &tls_harness.folder, options);
}

void tls_harness_stop(void)
{
    if (tls_harness.is_serving) {
        tls_harness.is_serving = false;
        server_tls_stop(&tls_harness.server);
    }
}

/* The configuration; "@/" of the options becomes the folder. */
static void write_json(char json[JSON_SIZE], unsigned port, const char *options, const char *keys)
{
    bool has_authority = options[0] != '!';
    const char *folder = tls_harness.folder.path;
    size_t length =
        (size_t)snprintf(json, JSON_SIZE,
                         "{\"pools\": {\"p\": {\"manager\": \"tls\"%s, \"endpoints\":"
                         " {\"s\": {\"host\": \"localhost\", \"port\": %u}}, \"options\": {\"family\": \"any\"",
                         keys, port);

    if (has_authority) {
        length += (size_t)snprintf(json + length, JSON_SIZE - length, ", \"ca_file\": \"%s/ca.pem\"", folder);
    }
    for (const char *rest = has_authority ? options : options + 1; *rest != '\0'; rest++) {
        if (strncmp(rest, "@/", 2) == 0) {
            length += (size_t)snprintf(json + length, JSON_SIZE - length, "%s/", folder);
            rest++;
        } else {
            json[length++] = *rest;
        }
        assert_true(length < JSON_SIZE - 8);
    }
    (void)snprintf(json + length, JSON_SIZE - length, "}}}}");
}

connpool *tls_harness_open_at(unsigned port, const char *options, const char *keys)
{
    char json[JSON_SIZE];

    write_json(json, port, options, keys);
    return harness_open("%s", json);
}

connpool *tls_harness_open(const char *options)
{
    return tls_harness_open_at(tls_harness.server.port, options, "");
}

void tls_harness_refuse(const char *options, const char *text)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[JSON_SIZE];
    struct connpool_options how = {
        .size = sizeof(how), .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER, .json = json, .plugin_path = folders};
    connpool_error error = {.text = ""};

    write_json(json, 1, options, "");
    assert_null(connpool_open_with(&how, &error));
    if (strstr(error.text, text) == NULL) {
        fail_msg("found: %s; expected: %s", error.text, text);
    }
}

connpool_error tls_harness_fail(connpool *context, int error_class, const char *text)
{
    connpool_error error = harness_acquire_fails(connpool_pool_at(context, 0), "s", HARNESS_LIMIT_MS, CONNPOOL_FAILED);

    if (error.error_class != error_class || (text != NULL && strstr(error.text, text) == NULL)) {
        fail_msg("class %s instead of %s: %s", connpool_error_class_text(error.error_class),
                 connpool_error_class_text(error_class), error.text);
    }
    return error;
}

void tls_harness_expect(const connpool_lease *lease, const char *text)
{
    char found[256];
    size_t length = strlen(text);
    size_t have = 0;

    assert_true(length < sizeof(found));
    while (have < length) {
        int more = SSL_read(connpool_tls(lease), found + have, (int)(length - have));

        assert_true(more > 0);
        have += (size_t)more;
    }
    assert_memory_equal(found, text, length);
}

void tls_harness_echo(const connpool_lease *lease, const char *text)
{
    assert_int_equal(SSL_write(connpool_tls(lease), text, (int)strlen(text)), strlen(text));
    tls_harness_expect(lease, text);
}

void tls_harness_use(connpool_pool *pool)
{
    connpool_lease lease = harness_acquire(pool, "s");

    tls_harness_echo(&lease, "hello");
    harness_release(&lease);
}
