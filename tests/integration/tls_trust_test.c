/* SPDX-License-Identifier: MIT */
/*
 * Whom the manager tls trusts: every kind of bad certificate fails the open with the class trust and a text that tells
 * which certificate and why; the right one passes. A17, S1 to S4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tls_harness.h"

#define DAY (24 * CERTIFICATES_HOUR)

/* A server that shows a certificate, and what a client makes of it. */
struct showing {
    const char *name;
    const struct certificate_request *request;
    const char *options; /* the client's, as of tls_harness_open_at */
    int error;           /* X509_V_ERR_…; 0: it passes */
    const char *text;    /* part of the error's */
};

#define REQUEST &(const struct certificate_request)

static const char name_with_nul[] = "localhost\0.evil.example";

static const struct showing bad[] = {
    {"expired", REQUEST{.begins = -2 * DAY, .ends = -DAY}, "", X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
    {"not-yet", REQUEST{.begins = DAY, .ends = 2 * DAY}, "", X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid"},
    {"stranger", REQUEST{.issuer = "other"}, "", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "issuer"},
    {"alone", REQUEST{.issuer = "alone"}, "", X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed"},
    {"sent-root", REQUEST{.issuer = "other", .chain = "other"}, "", X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "depth 1"},
    {"wrong-name", REQUEST{.alternative_names = "DNS:other.example"}, "", X509_V_ERR_HOSTNAME_MISMATCH, "mismatch"},
    {"part-name", REQUEST{.alternative_names = "DNS:localhost.example,DNS:local"}, "", X509_V_ERR_HOSTNAME_MISMATCH,
     "mismatch"},
    {"wild-name", REQUEST{.alternative_names = "DNS:w*.shop.example"}, ", \"server_name\": \"www.shop.example\"",
     X509_V_ERR_HOSTNAME_MISMATCH, "mismatch"},
    {"half-list", REQUEST{.issuer = "middle", .chain = "middle"}, ", \"crl_file\": \"@/middle.crl\"",
     X509_V_ERR_UNABLE_TO_GET_CRL, "depth 1"},
    {"common-name", REQUEST{.common_name = "localhost", .alternative_names = ""}, "", X509_V_ERR_HOSTNAME_MISMATCH,
     "mismatch"},
    {"nul-name", REQUEST{.raw_name = name_with_nul, .raw_name_length = sizeof(name_with_nul) - 1}, "",
     X509_V_ERR_HOSTNAME_MISMATCH, "mismatch"},
    {"no-address", REQUEST{.alternative_names = "DNS:localhost,DNS:127.0.0.1"}, ", \"server_name\": \"127.0.0.1\"",
     X509_V_ERR_IP_ADDRESS_MISMATCH, "IP address mismatch"},
    {"other-address", REQUEST{.alternative_names = "IP:127.0.0.2"}, ", \"server_name\": \"127.0.0.1\"",
     X509_V_ERR_IP_ADDRESS_MISMATCH, "IP address mismatch"},
    {"by-a-leaf", REQUEST{.issuer = "server", .chain = "server"}, "", X509_V_ERR_INVALID_CA, "depth 1"},
    {"no-signer", REQUEST{.issuer = "no-signer-ca", .chain = "no-signer-ca"}, "", 0, NULL},
    {"missing-link", REQUEST{.issuer = "middle"}, "", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "issuer"},
    {"expired-link", REQUEST{.issuer = "old-middle", .chain = "old-middle"}, "", X509_V_ERR_CERT_HAS_EXPIRED,
     "depth 1"},
    {"client-only", REQUEST{.extended_usage = "clientAuth"}, "", X509_V_ERR_INVALID_PURPOSE, "purpose"},
    {"signs-only", REQUEST{.usage = "critical,keyCertSign"}, "", X509_V_ERR_INVALID_PURPOSE, "purpose"},
    {"short-key", REQUEST{.rsa_bits = 1024}, "", X509_V_ERR_EE_KEY_TOO_SMALL, "too weak"},
    {"weak-digest", REQUEST{.digest = "SHA1", .issuer = "middle", .chain = "middle"}, "", X509_V_ERR_CA_MD_TOO_WEAK,
     "too weak"},
    {"revoked", NULL, ", \"crl_file\": \"@/ca.crl\"", X509_V_ERR_CERT_REVOKED, "revoked"},
    {"no-list", REQUEST{.issuer = "middle", .chain = "middle"}, ", \"crl_file\": \"@/ca.crl\"",
     X509_V_ERR_UNABLE_TO_GET_CRL, "CRL"},
};

static const struct showing good[] = {
    {"plain", NULL, "", 0, NULL},
    {"rsa", REQUEST{.rsa_bits = 2048}, "", 0, NULL},
    {"linked", REQUEST{.issuer = "middle", .chain = "middle"}, "", 0, NULL},
    {"not-revoked", NULL, ", \"crl_file\": \"@/ca.crl\"", 0, NULL},
    {"address", REQUEST{.alternative_names = "IP:127.0.0.1"}, ", \"server_name\": \"127.0.0.1\"", 0, NULL},
    {"ipv6-address", REQUEST{.alternative_names = "IP:::1"}, ", \"server_name\": \"::1\"", 0, NULL},
    {"absolute", REQUEST{.alternative_names = "DNS:www.example"}, ", \"server_name\": \"www.example.\"", 0, NULL},
    {"wildcard", REQUEST{.alternative_names = "DNS:*.shop.example"}, ", \"server_name\": \"www.shop.example\"", 0,
     NULL},
    {"upper-case", REQUEST{.alternative_names = "DNS:LOCALHOST"}, "", 0, NULL},
    {"any-usage", REQUEST{.extended_usage = ""}, "", 0, NULL},
};

static void issue_authorities(void)
{
    struct certificates *certificates = &tls_harness.certificates;

    certificates_issue(certificates, "other", REQUEST{.issuer = "other", .is_authority = true});
    certificates_issue(certificates, "middle", REQUEST{.is_authority = true});
    certificates_issue(certificates, "old-middle", REQUEST{.is_authority = true, .begins = -2 * DAY, .ends = -DAY});
    certificates_issue(certificates, "no-signer-ca",
                       REQUEST{.is_authority = true, .usage = "critical,digitalSignature"});
}

static void issue_all(const struct showing *showings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        certificates_issue(&tls_harness.certificates, showings[i].name, showings[i].request);
    }
}

static int begin(void **state)
{
    (void)tls_harness_begin(state);
    issue_authorities();
    issue_all(bad, sizeof(bad) / sizeof(bad[0]));
    issue_all(good, sizeof(good) / sizeof(good[0]));
    certificates_revoke(&tls_harness.certificates, "ca", "revoked");
    certificates_revoke(&tls_harness.certificates, "middle", NULL);
    return 0;
}

/* A17. Each fails with one connection: it is not retried. */
static void each_bad_certificate_is_told_from_the_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct showing *showing = &bad[i];
        connpool_error error;
        connpool *context;

        tls_harness_serve(&(struct server_tls_options){.certificate = showing->name});
        context = tls_harness_open(showing->options);
        error = tls_harness_fail(context, CONNPOOL_ERROR_TRUST, showing->text);
        if (showing->error != 0 && error.library_code != showing->error) {
            fail_msg("%s: error %d instead of %d: %s", showing->name, (int)error.library_code, showing->error,
                     error.text);
        }
        assert_non_null(strstr(error.text, "subject"));
        assert_int_equal(server_tls_accepted(&tls_harness.server), 1);
        assert_int_equal(server_tls_await_end(&tls_harness.server, 0), SERVER_TLS_REFUSED);
        harness_close(context);
        tls_harness_stop();
    }
}

static void each_good_certificate_passes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        connpool *context;

        tls_harness_serve(&(struct server_tls_options){.certificate = good[i].name});
        context = tls_harness_open(good[i].options);
        tls_harness_use(harness_pool(context));
        harness_close(context);
        tls_harness_stop();
    }
}

/* Also those that are in no store of the system: nothing else is trusted than what is told. */
static void without_its_authority_a_server_is_not_trusted(void **state)
{
    connpool *context;

    (void)state;
    tls_harness_serve(NULL);
    context = tls_harness_open("!");
    (void)tls_harness_fail(context, CONNPOOL_ERROR_TRUST, "issuer");
    harness_close(context);
    context = tls_harness_open("!, \"ca_file\": \"@/other.pem\"");
    (void)tls_harness_fail(context, CONNPOOL_ERROR_TRUST, "issuer");
    harness_close(context);
    tls_harness_stop();
}

/* A folder of authorities has them under the hashes of their names. */
static void a_folder_of_authorities(void **state)
{
    char path[SERVER_PATH_SIZE];
    char link_path[SERVER_PATH_SIZE];
    char name[32];
    connpool *context;
    FILE *file;
    X509 *certificate;

    (void)state;
    certificates_path(&tls_harness.certificates, "ca", "pem", path);
    file = fopen(path, "re");
    assert_non_null(file);
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(name, sizeof(name), "%08lx.0",
                   X509_NAME_hash_ex(X509_get_subject_name(certificate), NULL, NULL, NULL));
    X509_free(certificate);
    server_folder_path(&tls_harness.folder, name, link_path);
    assert_int_equal(symlink(path, link_path), 0);
    tls_harness_serve(NULL);
    context = tls_harness_open("!, \"ca_path\": \"@/\"");
    tls_harness_use(harness_pool(context));
    harness_close(context);
    tls_harness_stop();
}

static unsigned warnings;

static void count_warning(void *argument, int32_t level, const char *text)
{
    (void)argument;
    warnings += level == CONNPOOL_LOG_WARNING && strstr(text, "insecure_no_verification") != NULL;
}

/* S1: only by an option whose name says it, and not silently. */
static void verification_is_switched_off_only_by_a_loud_option(void **state)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[512];
    struct connpool_options options = {.size = sizeof(options),
                                       .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER,
                                       .json = json,
                                       .plugin_path = folders,
                                       .log = count_warning};
    connpool *context;

    (void)state;
    tls_harness_serve(&(struct server_tls_options){.certificate = "expired"});
    (void)snprintf(json, sizeof(json),
                   "{\"pools\": {\"p\": {\"manager\": \"tls\", \"options\": {\"insecure_no_verification\": true},"
                   " \"endpoints\": {\"s\": {\"host\": \"localhost\", \"port\": %u}}}}}",
                   tls_harness.server.port);
    context = connpool_open_with(&options, NULL);
    assert_non_null(context);
    assert_int_equal(warnings, 1);
    tls_harness_use(harness_pool(context));
    harness_close(context);
    tls_harness_stop();
}

/* A handshake of TLS 1.2 can do without any certificate, where the ciphers are chosen badly on both sides. */
static void a_server_without_any_certificate_is_not_trusted(void **state)
{
    connpool *context;

    (void)state;
    tls_harness_serve(&(struct server_tls_options){.maximum_version = TLS1_2_VERSION, .ciphers = "aNULL:@SECLEVEL=0"});
    context = tls_harness_open(", \"ciphers\": \"aNULL:@SECLEVEL=0\"");
    (void)tls_harness_fail(context, CONNPOOL_ERROR_TRUST, "no certificate");
    harness_close(context);
    tls_harness_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bad_certificate_is_told_from_the_others),
        cmocka_unit_test(each_good_certificate_passes),
        cmocka_unit_test(without_its_authority_a_server_is_not_trusted),
        cmocka_unit_test(a_folder_of_authorities),
        cmocka_unit_test(verification_is_switched_off_only_by_a_loud_option),
        cmocka_unit_test(a_server_without_any_certificate_is_not_trusted),
    };

    return cmocka_run_group_tests(tests, begin, tls_harness_end);
}
