/* SPDX-License-Identifier: MIT */
/*
 * certificates: a throw-away certification authority of a test's own, and what it signs, good or bad: PEM files in the
 * test's folder. NAME.pem is the certificate (and those of its chain), NAME.key its private key (mode 0600), NAME.crl a
 * revocation list. Keys are of the curve P-256, which takes no time. All functions fail the test where they cannot.
 */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include "server_folder.h"

#define CERTIFICATES_HOUR 3600L

struct certificates {
    const struct server_folder *folder;
    long serial; /* of the last one */
};

/* What a certificate is to be; all zero: a good one, of a server and a client, for localhost, 127.0.0.1 and ::1. */
struct certificate_request {
    const char *issuer;            /* name of the one that signs it; NULL: "ca"; its own name: self-signed */
    const char *chain;             /* name of one whose NAME.pem is put behind it; NULL: none */
    const char *common_name;       /* NULL: its name */
    const char *alternative_names; /* as "DNS:a.example,IP:127.0.0.1"; NULL: those above, "": none */
    const void *raw_name;          /* instead: the bytes of one DNS name, whatever they are */
    size_t raw_name_length;
    const char *usage;          /* keyUsage; NULL: what it needs, "": not said */
    const char *extended_usage; /* extendedKeyUsage; NULL: "serverAuth,clientAuth", of an authority not said */
    const char *passphrase;     /* of NAME.key; NULL: not encrypted */
    const char *digest;         /* NULL: "SHA256" */
    long begins, ends;          /* seconds from now; 0: an hour ago, in an hour */
    int rsa_bits;               /* an RSA key of that length; 0: P-256 */
    bool is_authority;          /* it may sign others */
};

/* Make the authority "ca" in the folder: ca.pem, ca.key. */
void certificates_init(struct certificates *certificates, const struct server_folder *folder);
/* Make the certificate NAME; request NULL: a good one. */
void certificates_issue(struct certificates *certificates, const char *name, const struct certificate_request *request);
/* Write ISSUER.crl, which revokes NAME (NULL: nothing). */
void certificates_revoke(struct certificates *certificates, const char *issuer, const char *name);
/* The path of NAME.pem, .key or .crl. */
void certificates_path(const struct certificates *certificates, const char *name, const char *extension,
                       char path[SERVER_PATH_SIZE]);

#endif
