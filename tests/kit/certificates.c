/* SPDX-License-Identifier: MIT */
/* certificates: made in the process, by libcrypto. */
#include "certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

void certificates_path(const struct certificates *certificates, const char *name, const char *extension,
                       char path[SERVER_PATH_SIZE])
{
    char file[48];

    assert_true(snprintf(file, sizeof(file), "%s.%s", name, extension) < (int)sizeof(file));
    server_folder_path(certificates->folder, file, path);
}

static FILE *open_file(const struct certificates *certificates, const char *name, const char *extension,
                       const char *mode)
{
    char path[SERVER_PATH_SIZE];
    FILE *file;

    certificates_path(certificates, name, extension, path);
    file = fopen(path, mode);
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), S_IRUSR | S_IWUSR), 0);
    return file;
}

static X509 *read_certificate(const struct certificates *certificates, const char *name)
{
    FILE *file = open_file(certificates, name, "pem", "re");
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);

    assert_non_null(certificate);
    assert_int_equal(fclose(file), 0);
    return certificate;
}

static EVP_PKEY *read_key(const struct certificates *certificates, const char *name)
{
    FILE *file = open_file(certificates, name, "key", "re");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);

    assert_non_null(key);
    assert_int_equal(fclose(file), 0);
    return key;
}

static void write_key(const struct certificates *certificates, const char *name, EVP_PKEY *key, const char *passphrase)
{
    FILE *file = open_file(certificates, name, "key", "we");
    const EVP_CIPHER *cipher = passphrase == NULL ? NULL : EVP_aes_128_cbc();

    assert_int_equal(PEM_write_PrivateKey(file, key, cipher, (const unsigned char *)passphrase,
                                          passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL),
                     1);
    assert_int_equal(fclose(file), 0);
}

static void write_certificate(const struct certificates *certificates, const char *name, X509 *certificate,
                              const char *chain)
{
    FILE *file = open_file(certificates, name, "pem", "we");

    assert_int_equal(PEM_write_X509(file, certificate), 1);
    if (chain != NULL) {
        FILE *rest = open_file(certificates, chain, "pem", "re");
        char text[4096];
        size_t length;

        while ((length = fread(text, 1, sizeof(text), rest)) > 0) {
            assert_int_equal(fwrite(text, 1, length, file), length);
        }
        assert_int_equal(fclose(rest), 0);
    }
    assert_int_equal(fclose(file), 0);
}

static void extend(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void add_raw_name(X509 *certificate, const struct certificate_request *request)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    assert_int_equal(ASN1_STRING_set(text, request->raw_name, (int)request->raw_name_length), 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    assert_true(sk_GENERAL_NAME_push(names, name) > 0);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT), 1);
    GENERAL_NAMES_free(names);
}

static void add_extensions(X509 *certificate, X509 *issuer, const struct certificate_request *request)
{
    const char *usage = request->is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
    const char *extended = request->is_authority ? "" : "serverAuth,clientAuth";
    const char *names = request->is_authority ? "" : "DNS:localhost,IP:127.0.0.1,IP:::1";
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    usage = request->usage == NULL ? usage : request->usage;
    extended = request->extended_usage == NULL ? extended : request->extended_usage;
    names = request->alternative_names == NULL ? names : request->alternative_names;
    extend(certificate, &context, NID_basic_constraints, request->is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    extend(certificate, &context, NID_subject_key_identifier, "hash");
    if (usage[0] != '\0') {
        extend(certificate, &context, NID_key_usage, usage);
    }
    if (extended[0] != '\0') {
        extend(certificate, &context, NID_ext_key_usage, extended);
    }
    if (request->raw_name != NULL) {
        add_raw_name(certificate, request);
    } else if (names[0] != '\0') {
        extend(certificate, &context, NID_subject_alt_name, names);
    }
}

static X509 *new_certificate(struct certificates *certificates, const char *name, EVP_PKEY *key,
                             const struct certificate_request *request)
{
    const char *common_name = request->common_name == NULL ? name : request->common_name;
    X509 *certificate = X509_new();

    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++certificates->serial), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate),
                          request->begins == 0 ? -CERTIFICATES_HOUR : request->begins);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), request->ends == 0 ? CERTIFICATES_HOUR : request->ends);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                                (const unsigned char *)common_name, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    return certificate;
}

void certificates_issue(struct certificates *certificates, const char *name, const struct certificate_request *request)
{
    static const struct certificate_request good;
    const struct certificate_request *wanted = request == NULL ? &good : request;
    const char *issuer_name = wanted->issuer == NULL ? "ca" : wanted->issuer;
    bool is_self_signed = strcmp(issuer_name, name) == 0;
    EVP_PKEY *key = wanted->rsa_bits == 0 ? EVP_EC_gen("P-256") : EVP_RSA_gen((unsigned)wanted->rsa_bits);
    EVP_PKEY *issuer_key = is_self_signed ? key : read_key(certificates, issuer_name);
    X509 *certificate = new_certificate(certificates, name, key, wanted);
    X509 *issuer = is_self_signed ? certificate : read_certificate(certificates, issuer_name);

    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), 1);
    add_extensions(certificate, issuer, wanted);
    assert_true(X509_sign(certificate, issuer_key,
                          EVP_get_digestbyname(wanted->digest == NULL ? "SHA256" : wanted->digest)) > 0);
    write_key(certificates, name, key, wanted->passphrase);
    write_certificate(certificates, name, certificate, wanted->chain);
    if (!is_self_signed) {
        EVP_PKEY_free(issuer_key);
        X509_free(issuer);
    }
    EVP_PKEY_free(key);
    X509_free(certificate);
}

void certificates_init(struct certificates *certificates, const struct server_folder *folder)
{
    const struct certificate_request authority = {.issuer = "ca", .common_name = "Test CA", .is_authority = true};

    *certificates = (struct certificates){.folder = folder};
    certificates_issue(certificates, "ca", &authority);
}

static void add_revoked(const struct certificates *certificates, X509_CRL *list, const char *name)
{
    X509 *certificate = read_certificate(certificates, name);
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_TIME *since = X509_gmtime_adj(NULL, -CERTIFICATES_HOUR);

    assert_int_equal(X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(certificate)), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(revoked, since), 1);
    assert_int_equal(X509_CRL_add0_revoked(list, revoked), 1);
    ASN1_TIME_free(since);
    X509_free(certificate);
}

void certificates_revoke(struct certificates *certificates, const char *issuer_name, const char *name)
{
    X509 *issuer = read_certificate(certificates, issuer_name);
    EVP_PKEY *key = read_key(certificates, issuer_name);
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *begins = X509_gmtime_adj(NULL, -CERTIFICATES_HOUR);
    ASN1_TIME *ends = X509_gmtime_adj(NULL, CERTIFICATES_HOUR);
    FILE *file = open_file(certificates, issuer_name, "crl", "we");

    assert_int_equal(X509_CRL_set_version(list, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(list, begins), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(list, ends), 1);
    if (name != NULL) {
        add_revoked(certificates, list, name);
    }
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509_CRL(file, list), 1);
    assert_int_equal(fclose(file), 0);
    ASN1_TIME_free(begins);
    ASN1_TIME_free(ends);
    X509_CRL_free(list);
    EVP_PKEY_free(key);
    X509_free(issuer);
}
