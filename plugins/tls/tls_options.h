/* SPDX-License-Identifier: MIT */
/* tls_options: what a configuration may say of a TLS endpoint. */
#ifndef TLS_OPTIONS_H
#define TLS_OPTIONS_H

#include <connpool/manager.h>

#include "../common/dial_options.h"

#define TLS_SESSIONS_MAXIMUM 32 /* as in the option's row */

struct tls_options {
    struct dial_options dial;
    const char *server_name; /* NULL: the host */
    struct connpool_list alpn;
    int64_t sessions;
    int64_t confirm_timeout; /* ns */
    /* Shared: an SSL_CTX for each distinct set. Indexes into the versions' names: */
    int32_t min_version;
    int32_t max_version;
    const char *ca_file;
    const char *ca_path;
    const char *crl_file;
    const char *certificate;
    const char *key;
    const char *key_text;
    const char *key_passphrase;
    const char *ciphers;
    const char *ciphersuites;
    const char *groups;
    int32_t insecure_no_verification;
};

#define TLS_OPTION_COUNT 26
extern const struct connpool_option tls_option_rows[TLS_OPTION_COUNT];
/* TLS1_2_VERSION …, by the index of a version option. */
extern const int tls_option_versions[];

/* The name that the certificate must bear and that is sent as SNI. */
const char *tls_options_name(const struct tls_options *options);
/* What an endpoint's own options must be: 0, or the negative of CONNPOOL_ERROR_CONFIGURATION with the fault filled. */
int32_t tls_options_check(const struct tls_options *options, struct connpool_fault *fault);

#define TLS_ALPN_SIZE 256
/* The protocols as the extension wants them, each behind its length; returns how many bytes, which are checked to fit.
 */
unsigned tls_options_alpn(const struct tls_options *options, unsigned char wire[TLS_ALPN_SIZE]);

#endif
