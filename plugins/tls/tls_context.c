/* SPDX-License-Identifier: MIT */
/* tls_context: the SSL_CTX of a set of shared options. */
#include "tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/fault.h"
#include "tls_fault.h"

/* Of OpenSSL's levels the one with 112 bits of security (SSL_CTX_set_security_level(3)): no RSA key under 2048 bits,
 * no SHA-1 signature. Debian's default, upstream's is 1. The cipher list may say another: "…:@SECLEVEL=1". */
#define SECURITY_LEVEL 2

/* ---- Files */

static int32_t wrong_file(struct connpool_fault *fault, const char *option, const char *path, int error)
{
    bool is_lack = error == EMFILE || error == ENFILE || error == ENOMEM;

    return fault_fill(fault, is_lack ? CONNPOOL_ERROR_RESOURCE_LOCAL : CONNPOOL_ERROR_CONFIGURATION, error,
                      "%s: %s: %s", option, path, strerror(error));
}

/* An open regular file, -1: the fault says why. OpenSSL's own errors leave out the file, and some all. */
static int open_file(const char *option, const char *path, struct stat *status, struct connpool_fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, status) != 0) {
        (void)wrong_file(fault, option, path, errno);
    } else if (!S_ISREG(status->st_mode)) {
        (void)fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s: %s: expected a regular file", option, path);
    } else {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

static int32_t check_file(const char *option, const char *path, struct connpool_fault *fault)
{
    struct stat status;
    int fd = open_file(option, path, &status, fault);

    if (fd < 0) {
        return -fault->error_class;
    }
    (void)close(fd);
    return 0;
}

static int32_t check_folder(const char *option, const char *path, struct connpool_fault *fault)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        return wrong_file(fault, option, path, errno);
    }
    if (!S_ISDIR(status.st_mode)) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s: %s: expected a folder", option, path);
    }
    return 0;
}

/* A file in which OpenSSL found nothing good. */
static int32_t wrong_content(struct connpool_fault *fault, const char *option, const char *path)
{
    char what[160];

    (void)snprintf(what, sizeof(what), "%s: %s", option, path);
    return tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, what);
}

/* ---- What is spoken */

static int32_t set_versions(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault)
{
    if (options->min_version > options->max_version) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "min_version is newer than max_version");
    }
    if (SSL_CTX_set_min_proto_version(context, tls_option_versions[options->min_version]) != 1 ||
        SSL_CTX_set_max_proto_version(context, tls_option_versions[options->max_version]) != 1) {
        return tls_fault_queued(fault, CONNPOOL_ERROR_UNSUPPORTED, "min_version, max_version");
    }
    return 0;
}

static int32_t set_ciphers(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault)
{
    if (SSL_CTX_get_security_level(context) < SECURITY_LEVEL) {
        SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    }
    if (options->ciphers != NULL && SSL_CTX_set_cipher_list(context, options->ciphers) != 1) {
        return tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, "ciphers");
    }
    if (options->ciphersuites != NULL && SSL_CTX_set_ciphersuites(context, options->ciphersuites) != 1) {
        return tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, "ciphersuites");
    }
    if (options->groups != NULL && SSL_CTX_set1_groups_list(context, options->groups) != 1) {
        return tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, "groups");
    }
    return 0;
}

/* ---- Who is trusted */

static int32_t set_authorities(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault)
{
    if (options->ca_file == NULL && options->ca_path == NULL) {
        return SSL_CTX_set_default_verify_paths(context) == 1
                   ? 0
                   : tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, "the system's authorities");
    }
    if (options->ca_file != NULL) {
        int32_t result = check_file("ca_file", options->ca_file, fault);

        if (result != 0) {
            return result;
        }
        if (SSL_CTX_load_verify_file(context, options->ca_file) != 1) {
            return wrong_content(fault, "ca_file", options->ca_file);
        }
    }
    if (options->ca_path != NULL) {
        int32_t result = check_folder("ca_path", options->ca_path, fault);

        if (result != 0) {
            return result;
        }
        if (SSL_CTX_load_verify_dir(context, options->ca_path) != 1) {
            return wrong_content(fault, "ca_path", options->ca_path);
        }
    }
    return 0;
}

static int32_t set_revocations(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lookup;
    int32_t result;

    if (options->crl_file == NULL) {
        return 0;
    }
    result = check_file("crl_file", options->crl_file, fault);
    if (result != 0) {
        return result;
    }
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, options->crl_file, X509_FILETYPE_PEM) < 1 ||
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1) {
        return wrong_content(fault, "crl_file", options->crl_file);
    }
    return 0;
}

/* ---- Who we are */

/* Answers OpenSSL's question for a passphrase; without an answer it would ask the terminal. */
static int give_passphrase(char *buffer, int size, int is_for_writing, void *argument)
{
    const char *passphrase = argument;
    size_t length = passphrase == NULL ? 0 : strlen(passphrase);

    (void)is_for_writing;
    if (passphrase == NULL || length > (size_t)size) {
        return -1;
    }
    memcpy(buffer, passphrase, length);
    return (int)length;
}

/* An open key file that is nobody else's to read, -1: the fault says why. */
static int open_key(const char *option, const char *path, struct connpool_fault *fault)
{
    struct stat status;
    int fd = open_file(option, path, &status, fault);

    if (fd < 0) {
        return -1;
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        (void)fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                         "%s: %s: the private key belongs to user %u, expected root or the program's user", option,
                         path, (unsigned)status.st_uid);
    } else if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                         "%s: %s: the private key has mode %04o, expected nothing for group and others (chmod 600)",
                         option, path, (unsigned)status.st_mode & 07777u);
    } else {
        return fd;
    }
    (void)close(fd);
    return -1;
}

/* Where the private key is. */
struct key_source {
    const char *option;
    const char *path; /* NULL: the option's text is the key */
    char name[160];   /* for the texts of faults */
};

static struct key_source key_source_of(const struct tls_options *options)
{
    struct key_source source = {.option = "key", .path = options->key};

    if (options->key_text != NULL) {
        source.option = "key_text";
    } else if (options->key == NULL) {
        source.option = "certificate";
        source.path = options->certificate;
    }
    (void)snprintf(source.name, sizeof(source.name), "%s%s%s", source.option, source.path == NULL ? "" : ": ",
                   source.path == NULL ? "" : source.path);
    return source;
}

static BIO *open_key_source(const struct key_source *source, const char *text, struct connpool_fault *fault)
{
    int fd = source->path == NULL ? -1 : open_key(source->option, source->path, fault);
    BIO *opened;

    if (source->path == NULL) {
        return BIO_new_mem_buf(text, -1);
    }
    opened = fd < 0 ? NULL : BIO_new_fd(fd, BIO_CLOSE);
    if (opened == NULL && fd >= 0) {
        (void)close(fd);
    }
    return opened;
}

static EVP_PKEY *read_key(const struct key_source *source, const struct tls_options *options,
                          struct connpool_fault *fault)
{
    BIO *opened = open_key_source(source, options->key_text, fault);
    EVP_PKEY *key = opened == NULL ? NULL
                                   : PEM_read_bio_PrivateKey(opened, NULL, give_passphrase,
                                                             (void *)(uintptr_t)options->key_passphrase);

    BIO_free(opened);
    if (key == NULL && fault->error_class == 0) {
        int reason = ERR_GET_REASON(ERR_peek_last_error());

        if (options->key_passphrase == NULL && reason == PEM_R_BAD_PASSWORD_READ) {
            (void)fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                             "%s: the private key is encrypted, expected a key_passphrase", source->name);
        }
        (void)tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, source->name);
    }
    return key;
}

static int32_t use_key(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault)
{
    const struct key_source source = key_source_of(options);
    EVP_PKEY *key = read_key(&source, options, fault);
    int32_t result = 0;

    if (key == NULL) {
        return -fault->error_class;
    }
    /* This also compares it with the certificate. */
    if (SSL_CTX_use_PrivateKey(context, key) != 1) {
        result = tls_fault_queued(fault, CONNPOOL_ERROR_CONFIGURATION, source.name);
    }
    EVP_PKEY_free(key);
    return result;
}

static int32_t set_identity(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault)
{
    int32_t result;

    if (options->key != NULL && options->key_text != NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "found both key and key_text, expected one of them");
    }
    if (options->certificate == NULL) {
        return options->key == NULL && options->key_text == NULL
                   ? 0
                   : fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                                "a private key is of no use without the certificate that it belongs to");
    }
    result = check_file("certificate", options->certificate, fault);
    if (result != 0) {
        return result;
    }
    SSL_CTX_set_default_passwd_cb(context, give_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) {
        return wrong_content(fault, "certificate", options->certificate);
    }
    return use_key(context, options, fault);
}

/* ---- All of it */

typedef int32_t part_fn(SSL_CTX *context, const struct tls_options *options, struct connpool_fault *fault);

SSL_CTX *tls_context_new(const struct tls_options *options, struct connpool_fault *fault)
{
    static part_fn *const parts[] = {set_versions, set_ciphers, set_authorities, set_revocations, set_identity};
    SSL_CTX *context;
    int32_t result = 0;

    ERR_clear_error();
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        (void)tls_fault_queued(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, "SSL_CTX_new");
        return NULL;
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* An idle connection keeps no buffers of 16 KiB each; an application may repeat a write from a moved buffer. */
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (size_t i = 0; result == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        result = parts[i](context, options, fault);
    }
    if (result != 0) {
        SSL_CTX_free(context);
        context = NULL;
    }
    ERR_clear_error();
    return context;
}
