/* SPDX-License-Identifier: MIT */
/* ssh_private_key: see ssh_private_key.h. OpenSSH's format: PROTOCOL.key of OpenSSH. */
#include "ssh_private_key.h"

#include <libssh2.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#include "../common/fault.h"
#include "ssh_key.h"

#define OPENSSH_BEGIN  "-----BEGIN OPENSSH PRIVATE KEY-----"
#define OPENSSH_MAGIC  "openssh-key-v1" /* with its NUL */
#define CIPHER_OF_NONE "none"
#define NUMBER_SIZE    4

/* Of an ECDSA key. */
struct numbers {
    const unsigned char *point, *secret;
    size_t point_length, secret_length;
};

static int32_t refuse(struct connpool_fault *fault, const char *path, const char *reason)
{
    return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "private_key %s: %s", path, reason);
}

static int32_t check_kind(enum ssh_key_kind kind, const char *path, struct connpool_fault *fault)
{
    if (kind == SSH_KEY_OTHER) {
        return refuse(fault, path, "is of a kind that cannot be used; ed25519 and ECDSA can");
    }
    if (ssh_key_methods(kind) == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_UNSUPPORTED, 0,
                          "private_key %s: is an RSA key; libssh2 %s signs with SHA-1 only, which servers refuse: RSA "
                          "needs libssh2 1.11; use an ed25519 or ECDSA key",
                          path, libssh2_version(0));
    }
    return 0;
}

/* ---- OpenSSH's format */

/* What the lines of base64 mean; NULL: no memory, *length 0: they mean nothing. */
static unsigned char *decode(const char *text, struct ssh_memory *memory, size_t *length)
{
    char *characters = ssh_memory_take(memory, strlen(text) + 1);
    unsigned char *bytes = ssh_memory_take(memory, strlen(text) + 1);
    size_t count = 0;
    int found;

    if (characters == NULL || bytes == NULL) {
        return NULL;
    }
    for (const char *at = text; *at != '\0' && *at != '-'; at++) {
        if (*at != '\n' && *at != '\r') {
            characters[count++] = *at;
        }
    }
    found = ssh_key_decode(characters, count, bytes);
    ssh_memory_give(memory, characters);
    *length = found < 0 ? 0 : (size_t)found;
    return bytes;
}

static bool skip(const unsigned char **at, const unsigned char *end, size_t size)
{
    if ((size_t)(end - *at) < size) {
        return false;
    }
    *at += size;
    return true;
}

static bool skip_strings(const unsigned char **at, const unsigned char *end, unsigned count)
{
    const unsigned char *string;
    size_t length;

    while (count > 0 && ssh_key_string(at, end, &string, &length)) {
        count--;
    }
    return count == 0;
}

/* From the first key's private part, which says its kind again: an ECDSA key's curve, point and secret. */
static bool read_numbers(const unsigned char *at, const unsigned char *end, struct numbers *numbers)
{
    return skip(&at, end, 2 * (size_t)NUMBER_SIZE) && skip_strings(&at, end, 2) &&
           ssh_key_string(&at, end, &numbers->point, &numbers->point_length) &&
           ssh_key_string(&at, end, &numbers->secret, &numbers->secret_length);
}

static const char *curve_of(enum ssh_key_kind kind)
{
    return kind == SSH_KEY_ECDSA_256 ? "P-256" : kind == SSH_KEY_ECDSA_384 ? "P-384" : "P-521";
}

/* The parameters of a key, NULL: no memory. */
static OSSL_PARAM *parameters_of(enum ssh_key_kind kind, const struct numbers *numbers, const BIGNUM *secret)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;

    if (builder != NULL && secret != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve_of(kind), 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, numbers->point, numbers->point_length) ==
            1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1) {
        parameters = OSSL_PARAM_BLD_to_param(builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return parameters;
}

static EVP_PKEY *key_of(enum ssh_key_kind kind, const struct numbers *numbers)
{
    BIGNUM *secret = BN_secure_new();
    BIGNUM *filled = secret == NULL || numbers->secret_length > INT_MAX
                         ? NULL
                         : BN_bin2bn(numbers->secret, (int)numbers->secret_length, secret);
    OSSL_PARAM *parameters = parameters_of(kind, numbers, filled);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    if (parameters != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1) {
        (void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters);
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    BN_clear_free(secret);
    return key;
}

/* The key in PEM, in memory; NULL: none left. */
static char *write_pem(const EVP_PKEY *key, struct ssh_memory *memory, size_t *length)
{
    BIO *output = BIO_new(BIO_s_secmem());
    char *written = NULL;
    char *text = NULL;
    long size;

    if (output != NULL && PEM_write_bio_PrivateKey(output, key, NULL, NULL, 0, NULL, NULL) == 1) {
        size = BIO_get_mem_data(output, &written);
        text = ssh_memory_take(memory, (size_t)size + 1);
        if (text != NULL) {
            memcpy(text, written, (size_t)size);
            text[size] = '\0';
            *length = (size_t)size;
        }
    }
    BIO_free(output);
    return text;
}

static int32_t rewrite(enum ssh_key_kind kind, const unsigned char *at, const unsigned char *end, char **text,
                       size_t *length, const char *path, struct ssh_memory *memory, struct connpool_fault *fault)
{
    struct numbers numbers;
    char *original = *text;
    EVP_PKEY *key;

    if (!read_numbers(at, end, &numbers)) {
        return refuse(fault, path, "is not an OpenSSH private key");
    }
    key = key_of(kind, &numbers);
    if (key == NULL) {
        ERR_clear_error();
        return refuse(fault, path, "is not a valid ECDSA key");
    }
    *text = write_pem(key, memory, length);
    EVP_PKEY_free(key);
    ssh_memory_give(memory, original);
    return *text != NULL ? 0 : fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory for private_key");
}

static int32_t prepare_openssh(const unsigned char *bytes, size_t size, char **text, size_t *length, const char *path,
                               struct ssh_memory *memory, struct connpool_fault *fault)
{
    const unsigned char *at = bytes;
    const unsigned char *end = bytes + size;
    const unsigned char *string;
    size_t string_length;
    enum ssh_key_kind kind;
    int32_t result;

    if (!skip(&at, end, sizeof(OPENSSH_MAGIC)) || memcmp(bytes, OPENSSH_MAGIC, sizeof(OPENSSH_MAGIC)) != 0 ||
        !ssh_key_string(&at, end, &string, &string_length)) {
        return refuse(fault, path, "is not an OpenSSH private key");
    }
    if (string_length != strlen(CIPHER_OF_NONE) || memcmp(string, CIPHER_OF_NONE, string_length) != 0) {
        return refuse(fault, path,
                      "has a passphrase; use an agent for it, or a key without one in a file of mode 0600");
    }
    /* How the cipher's key is derived, and from what; the number of keys; the public key. */
    if (!skip_strings(&at, end, 2) || !skip(&at, end, NUMBER_SIZE) ||
        !ssh_key_string(&at, end, &string, &string_length)) {
        return refuse(fault, path, "is not an OpenSSH private key");
    }
    kind = ssh_key_kind_of_wire(string, string_length);
    result = check_kind(kind, path, fault);
    if (result != 0 || kind == SSH_KEY_ED25519 || kind == SSH_KEY_RSA) {
        return result;
    }
    return ssh_key_string(&at, end, &string, &string_length)
               ? rewrite(kind, string, string + string_length, text, length, path, memory, fault)
               : refuse(fault, path, "is not an OpenSSH private key");
}

/* ---- PEM */

static int no_passphrase(char *buffer, int size, int is_writing, void *argument)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    *(bool *)argument = true;
    return -1;
}

static enum ssh_key_kind kind_of(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
        return SSH_KEY_ED25519;
    case EVP_PKEY_EC:
        return EVP_PKEY_get_bits(key) <= 256   ? SSH_KEY_ECDSA_256
               : EVP_PKEY_get_bits(key) <= 384 ? SSH_KEY_ECDSA_384
                                               : SSH_KEY_ECDSA_521;
    case EVP_PKEY_RSA:
        return SSH_KEY_RSA;
    default:
        return SSH_KEY_OTHER;
    }
}

static int32_t check_pem(const char *text, const char *path, struct connpool_fault *fault)
{
    BIO *input = BIO_new_mem_buf(text, -1);
    bool wants_passphrase = false;
    EVP_PKEY *key = input == NULL ? NULL : PEM_read_bio_PrivateKey(input, NULL, no_passphrase, &wants_passphrase);
    int32_t result;

    BIO_free(input);
    ERR_clear_error();
    if (key == NULL) {
        return refuse(fault, path, wants_passphrase ? "has a passphrase; use an agent for it" : "is not a private key");
    }
    result = check_kind(kind_of(key), path, fault);
    EVP_PKEY_free(key);
    return result;
}

int32_t ssh_private_key_prepare(char **text, size_t *length, const char *path, struct ssh_memory *memory,
                                struct connpool_fault *fault)
{
    const char *begin = strstr(*text, OPENSSH_BEGIN);
    size_t size = 0;
    unsigned char *bytes;
    int32_t result;

    if (begin == NULL) {
        return check_pem(*text, path, fault);
    }
    bytes = decode(begin + strlen(OPENSSH_BEGIN), memory, &size);
    if (bytes == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory for private_key");
    }
    result = prepare_openssh(bytes, size, text, length, path, memory, fault);
    ssh_memory_give(memory, bytes);
    return result;
}
