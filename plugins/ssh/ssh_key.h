/* SPDX-License-Identifier: MIT */
/* ssh_key: the kinds of keys, and the forms in which keys come. */
#ifndef SSH_KEY_H
#define SSH_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* In the order in which we like a server to prove itself. */
enum ssh_key_kind {
    SSH_KEY_ED25519,
    SSH_KEY_ECDSA_256,
    SSH_KEY_ECDSA_384,
    SSH_KEY_ECDSA_521,
    SSH_KEY_RSA,
    SSH_KEY_OTHER, /* certificates, hardware keys, DSA: known to exist, of no use here */
};

#define SSH_KEY_DIGEST_SIZE 32 /* SHA-256 */

/* The kind of that name, as it stands in files and in keys ("ssh-ed25519"). */
enum ssh_key_kind ssh_key_kind_of(const char *name, size_t length);
/* The kind of a key in its wire form (RFC 4253, 6.6): a string, its kind's name, comes first. */
enum ssh_key_kind ssh_key_kind_of_wire(const unsigned char *key, size_t length);
/* The kind's name; of OTHER "other". */
const char *ssh_key_name(enum ssh_key_kind kind);
/* What to ask of a server that shall prove a key of this kind, names joined by commas: NULL: the libssh2 of now has
 * nothing safe (RSA with SHA-2 came with 1.11). */
const char *ssh_key_methods(enum ssh_key_kind kind);

/* A string of RFC 4251, 5: moves *at behind it. false: it is not all there. */
bool ssh_key_string(const unsigned char **at, const unsigned char *end, const unsigned char **string, size_t *length);

/* The bytes of base64 text of that length, padded; bytes holds 3 for each 4 characters. Returns how many, -1: it is
 * none. */
int ssh_key_decode(const char *text, size_t length, unsigned char *bytes);

/* Whether text is the SHA-256 digest of the key, as `ssh-keygen -l` writes it: "SHA256:" and base64 without padding. */
bool ssh_key_has_digest(const unsigned char *key, size_t length, const char *text);
bool ssh_key_is_digest(const char *text);

#endif
