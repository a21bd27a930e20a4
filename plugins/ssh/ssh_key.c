/* SPDX-License-Identifier: MIT */
/* ssh_key: see ssh_key.h. */
#include "ssh_key.h"

#include <libssh2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#define DIGEST_PREFIX     "SHA256:"
#define DIGEST_CHARACTERS 43       /* of base64 for 32 bytes, without the padding */
#define RSA_WITH_SHA2     0x010b00 /* the first libssh2 that has it */

static const char *const names[] = {
    [SSH_KEY_ED25519] = "ssh-ed25519",
    [SSH_KEY_ECDSA_256] = "ecdsa-sha2-nistp256",
    [SSH_KEY_ECDSA_384] = "ecdsa-sha2-nistp384",
    [SSH_KEY_ECDSA_521] = "ecdsa-sha2-nistp521",
    [SSH_KEY_RSA] = "ssh-rsa",
    [SSH_KEY_OTHER] = "other",
};

enum ssh_key_kind ssh_key_kind_of(const char *name, size_t length)
{
    enum ssh_key_kind kind = SSH_KEY_ED25519;

    while (kind < SSH_KEY_OTHER && (strlen(names[kind]) != length || memcmp(names[kind], name, length) != 0)) {
        kind++;
    }
    return kind;
}

enum ssh_key_kind ssh_key_kind_of_wire(const unsigned char *key, size_t length)
{
    const unsigned char *at = key;
    const unsigned char *name;
    size_t name_length;

    if (!ssh_key_string(&at, key + length, &name, &name_length)) {
        return SSH_KEY_OTHER;
    }
    return ssh_key_kind_of((const char *)name, name_length);
}

const char *ssh_key_name(enum ssh_key_kind kind)
{
    return names[kind];
}

const char *ssh_key_methods(enum ssh_key_kind kind)
{
    if (kind == SSH_KEY_RSA) {
        return libssh2_version(RSA_WITH_SHA2) == NULL ? NULL : "rsa-sha2-512,rsa-sha2-256";
    }
    return kind == SSH_KEY_OTHER ? NULL : names[kind];
}

bool ssh_key_string(const unsigned char **at, const unsigned char *end, const unsigned char **string, size_t *length)
{
    const unsigned char *from = *at;
    uint32_t size;

    if (end - from < 4) {
        return false;
    }
    size = (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
    if (size > (size_t)(end - from - 4)) {
        return false;
    }
    *string = from + 4;
    *length = size;
    *at = from + 4 + size;
    return true;
}

/* Characters of text that stand for bits, at the most length. */
static size_t count_characters(const char *text, size_t length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = 0;

    while (count < length && memchr(alphabet, text[count], sizeof(alphabet) - 1) != NULL) {
        count++;
    }
    return count;
}

int ssh_key_decode(const char *text, size_t length, unsigned char *bytes)
{
    size_t padding = length - count_characters(text, length);
    int size;

    if (length == 0 || length % 4 != 0 || length > INT32_MAX || padding > 2 ||
        memcmp(text + length - padding, "==", padding) != 0) {
        return -1;
    }
    size = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length);
    return size < 0 ? -1 : size - (int)padding;
}

static bool decode_digest(const char *text, unsigned char digest[SSH_KEY_DIGEST_SIZE + 1])
{
    char padded[DIGEST_CHARACTERS + 2] = "";

    if (strncmp(text, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) != 0 ||
        strlen(text) != strlen(DIGEST_PREFIX) + DIGEST_CHARACTERS) {
        return false;
    }
    memcpy(padded, text + strlen(DIGEST_PREFIX), DIGEST_CHARACTERS);
    padded[DIGEST_CHARACTERS] = '=';
    return ssh_key_decode(padded, DIGEST_CHARACTERS + 1, digest) == SSH_KEY_DIGEST_SIZE;
}

bool ssh_key_is_digest(const char *text)
{
    unsigned char digest[SSH_KEY_DIGEST_SIZE + 1];

    return decode_digest(text, digest);
}

bool ssh_key_has_digest(const unsigned char *key, size_t length, const char *text)
{
    unsigned char wanted[SSH_KEY_DIGEST_SIZE + 1];
    unsigned char found[EVP_MAX_MD_SIZE];

    return decode_digest(text, wanted) && EVP_Digest(key, length, found, NULL, EVP_sha256(), NULL) == 1 &&
           CRYPTO_memcmp(wanted, found, SSH_KEY_DIGEST_SIZE) == 0;
}
