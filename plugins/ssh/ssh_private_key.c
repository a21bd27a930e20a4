/* SPDX-License-Identifier: MIT */
/* ssh_private_key: see ssh_private_key.h. OpenSSH's format: PROTOCOL.key of OpenSSH. */
#include "ssh_private_key.h"

#include <libssh2.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#include "../common/fault.h"
#include "ssh_key.h"

#define OPENSSH_BEGIN  "-----BEGIN OPENSSH PRIVATE KEY-----"
#define OPENSSH_MAGIC  "openssh-key-v1" /* with its NUL */
#define HEAD_SIZE      96               /* bytes of the decoded file that hold what is looked at, at least */
#define CIPHER_OF_NONE "none"

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

/* The first HEAD_SIZE bytes of what the lines of base64 after the first line mean; the number of bytes. */
static size_t decode_head(const char *text, unsigned char head[HEAD_SIZE])
{
    char characters[HEAD_SIZE / 3 * 4];
    size_t count = 0;
    int length;

    for (const char *at = text; *at != '\0' && *at != '-' && count < sizeof(characters); at++) {
        if (*at != '\n' && *at != '\r') {
            characters[count++] = *at;
        }
    }
    length = ssh_key_decode(characters, count, head);
    return length < 0 ? 0 : (size_t)length;
}

static int32_t check_openssh(const char *text, const char *path, struct connpool_fault *fault)
{
    unsigned char head[HEAD_SIZE];
    const unsigned char *end = head + decode_head(text, head);
    const unsigned char *at = head + sizeof(OPENSSH_MAGIC);
    const unsigned char *string;
    const unsigned char *derivation;
    size_t length;
    size_t ignored;

    if (end < at || memcmp(head, OPENSSH_MAGIC, sizeof(OPENSSH_MAGIC)) != 0 ||
        !ssh_key_string(&at, end, &string, &length)) {
        return refuse(fault, path, "is not an OpenSSH private key");
    }
    if (length != strlen(CIPHER_OF_NONE) || memcmp(string, CIPHER_OF_NONE, length) != 0) {
        return refuse(fault, path,
                      "has a passphrase; use an agent for it, or a key without one in a file of mode 0600");
    }
    if (!ssh_key_string(&at, end, &derivation, &ignored) || !ssh_key_string(&at, end, &derivation, &ignored) ||
        end - at < 8) {
        return refuse(fault, path, "is not an OpenSSH private key");
    }
    at += 8; /* the number of keys, 1, and the length of the public one, which is longer than the head */
    return check_kind(ssh_key_kind_of_wire(at, (size_t)(end - at)), path, fault);
}

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

int32_t ssh_private_key_check(const char *text, const char *path, struct connpool_fault *fault)
{
    const char *begin = strstr(text, OPENSSH_BEGIN);

    return begin != NULL ? check_openssh(begin + strlen(OPENSSH_BEGIN), path, fault) : check_pem(text, path, fault);
}
