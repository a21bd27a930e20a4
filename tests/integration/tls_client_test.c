/* SPDX-License-Identifier: MIT */
/* Who the client says it is: its certificate and key, what a server makes of them and when that is noticed, and which
 * files and settings are refused before anything is connected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls_harness.h"

#define DAY (24 * CERTIFICATES_HOUR)

#define REQUEST &(const struct certificate_request)

static const char as_client[] = ", \"certificate\": \"@/client.pem\", \"key\": \"@/client.key\"";

static void change_mode(const char *name, mode_t mode)
{
    char path[SERVER_PATH_SIZE];

    server_folder_path(&tls_harness.folder, name, path);
    assert_int_equal(chmod(path, mode), 0);
}

/* A certificate and its key in one file. */
static void join_files(void)
{
    static const char *const parts[] = {"client.pem", "client.key"};
    char path[SERVER_PATH_SIZE];
    char text[4096];
    size_t length = 0;

    for (size_t i = 0; i < 2; i++) {
        FILE *file;

        server_folder_path(&tls_harness.folder, parts[i], path);
        file = fopen(path, "re");
        assert_non_null(file);
        length += fread(text + length, 1, sizeof(text) - 1 - length, file);
        assert_int_equal(fclose(file), 0);
    }
    text[length] = '\0';
    server_folder_write(&tls_harness.folder, "both.pem", "%s", text);
    change_mode("both.pem", 0600);
}

static int begin(void **state)
{
    struct certificates *certificates = &tls_harness.certificates;

    (void)tls_harness_begin(state);
    certificates_issue(certificates, "client", NULL);
    certificates_issue(certificates, "other", REQUEST{.issuer = "other", .is_authority = true});
    certificates_issue(certificates, "stranger", REQUEST{.issuer = "other"});
    certificates_issue(certificates, "expired", REQUEST{.begins = -2 * DAY, .ends = -DAY});
    certificates_issue(certificates, "server-only", REQUEST{.extended_usage = "serverAuth"});
    certificates_issue(certificates, "locked", REQUEST{.passphrase = "hunter2"});
    certificates_issue(certificates, "open-key", NULL);
    certificates_issue(certificates, "short", REQUEST{.rsa_bits = 1024});
    certificates_revoke(certificates, "ca", NULL);
    change_mode("open-key.key", 0640);
    server_folder_write(&tls_harness.folder, "passphrase", "hunter2\n");
    server_folder_write(&tls_harness.folder, "wrong-passphrase", "hunter3\n");
    server_folder_write(&tls_harness.folder, "junk", "nothing that is PEM\n");
    change_mode("passphrase", 0600);
    change_mode("wrong-passphrase", 0600);
    change_mode("junk", 0600);
    join_files();
    return 0;
}

static void passes(int version, const char *options)
{
    connpool *context;

    tls_harness_serve(&(struct server_tls_options){.client_authority = "ca", .maximum_version = version});
    context = tls_harness_open(options);
    tls_harness_use(harness_pool(context));
    tls_harness_use(harness_pool(context));
    assert_int_equal(server_tls_accepted(&tls_harness.server), 1);
    harness_close(context);
    tls_harness_stop();
}

static void the_right_certificate_passes(void **state)
{
    (void)state;
    passes(TLS1_3_VERSION, as_client);
    passes(TLS1_2_VERSION, as_client);
    passes(TLS1_3_VERSION, ", \"certificate\": \"@/both.pem\"");
    passes(TLS1_3_VERSION, ", \"certificate\": \"@/locked.pem\", \"key\": \"@/locked.key\","
                           " \"key_passphrase\": {\"file\": \"@/passphrase\"}");
    passes(TLS1_3_VERSION, ", \"certificate\": \"@/client.pem\", \"key_text\": {\"file\": \"@/client.key\"}");
    passes(TLS1_3_VERSION, ", \"certificate\": \"@/locked.pem\", \"key_text\": {\"file\": \"@/locked.key\"},"
                           " \"key_passphrase\": {\"file\": \"@/passphrase\"}");
}

static void is_refused(int version, const char *options)
{
    connpool *context;

    tls_harness_serve(&(struct server_tls_options){.client_authority = "ca", .maximum_version = version});
    context = tls_harness_open(options);
    (void)tls_harness_fail(context, CONNPOOL_ERROR_AUTHENTICATION, "alert");
    assert_int_equal(server_tls_accepted(&tls_harness.server), 1);
    assert_int_equal(server_tls_await_end(&tls_harness.server, 0), SERVER_TLS_REFUSED);
    harness_close(context);
    tls_harness_stop();
}

/* A13: in TLS 1.3 the client's handshake is over before the server has looked at its certificate. */
static void a_wrong_certificate_fails_the_open(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        is_refused(versions[i], "");
        is_refused(versions[i], ", \"certificate\": \"@/stranger.pem\", \"key\": \"@/stranger.key\"");
        is_refused(versions[i], ", \"certificate\": \"@/expired.pem\", \"key\": \"@/expired.key\"");
        is_refused(versions[i], ", \"certificate\": \"@/server-only.pem\", \"key\": \"@/server-only.key\"");
    }
}

/* A13, as it is where nobody waits for the server's word. */
static void without_the_wait_the_first_read_fails(void **state)
{
    connpool *context;
    connpool_lease lease;
    char byte;

    (void)state;
    tls_harness_serve(&(struct server_tls_options){.client_authority = "ca"});
    context = tls_harness_open(", \"confirm_timeout\": 0");
    lease = harness_acquire(harness_pool(context), "s");
    assert_true(SSL_read(connpool_tls(&lease), &byte, 1) <= 0);
    harness_discard(&lease);
    harness_close(context);
    tls_harness_stop();
}

/* A13: a server that accepts without a word costs the wait, and once. */
static void a_silent_server_is_waited_for_no_longer_than_told(void **state)
{
    struct server_tls_options options = {.client_authority = "ca", .has_tickets = true};
    connpool *context;
    int64_t begin_ms;

    (void)state;
    tls_harness_serve(&options);
    context = tls_harness_open(", \"certificate\": \"@/both.pem\", \"confirm_timeout\": 0.05");
    begin_ms = harness_now_ms();
    tls_harness_use(harness_pool(context));
    assert_true(harness_now_ms() - begin_ms >= 50);
    harness_close(context);
    tls_harness_stop();
}

/* A server that would know the client, and one that asks nobody, are not waited for. */
static void only_who_was_asked_waits(void **state)
{
    struct server_tls_options options = {.has_tickets = true};
    connpool *context;
    int64_t begin_ms = harness_now_ms();

    (void)state;
    tls_harness_serve(&options);
    context = tls_harness_open(", \"certificate\": \"@/both.pem\", \"confirm_timeout\": 60");
    tls_harness_use(harness_pool(context));
    assert_true(harness_now_ms() - begin_ms < HARNESS_LIMIT_MS);
    harness_close(context);
    tls_harness_stop();
}

/* S18: who else could read the key? */
static void keys_that_are_not_ours_alone_are_refused(void **state)
{
    (void)state;
    tls_harness_refuse(", \"certificate\": \"@/open-key.pem\", \"key\": \"@/open-key.key\"", "mode 0640");
    tls_harness_refuse(", \"certificate\": \"@/open-key.pem\", \"key_text\": {\"file\": \"@/open-key.key\"}",
                       "closed to group");
    tls_harness_refuse(", \"certificate\": \"@/both.pem\", \"key\": \"/dev/null\"", "regular file");
    tls_harness_refuse(", \"certificate\": \"@/both.pem\", \"key\": \"@/\"", "regular file");
    if (geteuid() == 0) {
        char path[SERVER_PATH_SIZE];

        server_folder_path(&tls_harness.folder, "stranger.key", path);
        assert_int_equal(chown(path, 65534, 0), 0);
        tls_harness_refuse(", \"certificate\": \"@/stranger.pem\", \"key\": \"@/stranger.key\"", "user 65534");
        assert_int_equal(chown(path, 0, 0), 0);
    }
}

/* Also that nothing asks the terminal for a passphrase, and that none is told. */
static void keys_that_do_not_open_are_refused(void **state)
{
    (void)state;
    tls_harness_refuse(", \"certificate\": \"@/locked.pem\", \"key\": \"@/locked.key\"", "key_passphrase");
    tls_harness_refuse(", \"certificate\": \"@/locked.pem\", \"key\": \"@/locked.key\","
                       " \"key_passphrase\": {\"file\": \"@/wrong-passphrase\"}",
                       "locked.key");
    tls_harness_refuse(", \"certificate\": \"@/client.pem\", \"key\": \"@/expired.key\"", "key values mismatch");
    tls_harness_refuse(", \"certificate\": \"@/client.pem\"", "certificate: ");
    tls_harness_refuse(", \"key\": \"@/client.key\"", "without the certificate");
    tls_harness_refuse(", \"key_text\": {\"file\": \"@/client.key\"}", "without the certificate");
    tls_harness_refuse(", \"certificate\": \"@/client.pem\", \"key\": \"@/client.key\","
                       " \"key_text\": {\"file\": \"@/client.key\"}",
                       "both key and key_text");
    tls_harness_refuse(", \"certificate\": \"@/locked.pem\", \"key_text\": {\"file\": \"@/locked.key\"}",
                       "key_passphrase");
    tls_harness_refuse(", \"certificate\": \"@/client.pem\", \"key_text\": {\"file\": \"@/expired.key\"}", "mismatch");
    tls_harness_refuse(", \"certificate\": \"@/client.pem\", \"key_text\": {\"file\": \"@/junk\"}", "key_text: ");
    tls_harness_refuse(", \"certificate\": \"@/client.pem\", \"key\": \"@/junk\"", "junk");
    tls_harness_refuse(", \"certificate\": \"@/short.pem\", \"key\": \"@/short.key\"", "too small");
}

static void settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    tls_harness_refuse("!, \"ca_file\": \"@/nowhere\"", "No such file");
    tls_harness_refuse("!, \"ca_file\": \"@/junk\"", "junk");
    tls_harness_refuse("!, \"ca_file\": \"@/\"", "regular file");
    tls_harness_refuse("!, \"ca_path\": \"@/nowhere\"", "No such file");
    tls_harness_refuse("!, \"ca_path\": \"@/ca.pem\"", "expected a folder");
    tls_harness_refuse(", \"crl_file\": \"@/nowhere\"", "crl_file");
    tls_harness_refuse(", \"crl_file\": \"@/junk\"", "crl_file");
    tls_harness_refuse(", \"certificate\": \"@/junk\"", "certificate");
    tls_harness_refuse(", \"min_version\": \"TLSv1.3\", \"max_version\": \"TLSv1.2\"", "min_version");
    tls_harness_refuse(", \"min_version\": \"TLSv1.1\"", "TLSv1.2");
    tls_harness_refuse(", \"ciphers\": \"NOTHING\"", "ciphers");
    tls_harness_refuse(", \"ciphersuites\": \"NOTHING\"", "ciphersuites");
    tls_harness_refuse(", \"groups\": \"NOTHING\"", "groups");
    tls_harness_refuse(", \"alpn\": [\"\"]", "alpn");
}

/* D13: an empty name would switch the check of names off. */
static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    tls_harness_refuse(", \"server_name\": \"\"", "server_name");
    tls_harness_refuse(", \"server_name\": \".\"", "server_name");
    tls_harness_refuse(", \"server_name\": \"a b\"", "server_name");
    tls_harness_refuse(", \"server_name\": \"a\\nb\"", "server_name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_certificate_passes),
        cmocka_unit_test(a_wrong_certificate_fails_the_open),
        cmocka_unit_test(without_the_wait_the_first_read_fails),
        cmocka_unit_test(a_silent_server_is_waited_for_no_longer_than_told),
        cmocka_unit_test(only_who_was_asked_waits),
        cmocka_unit_test(keys_that_are_not_ours_alone_are_refused),
        cmocka_unit_test(keys_that_do_not_open_are_refused),
        cmocka_unit_test(settings_that_cannot_work_are_refused),
        cmocka_unit_test(names_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, begin, tls_harness_end);
}
