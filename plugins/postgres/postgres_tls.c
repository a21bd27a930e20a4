/* SPDX-License-Identifier: MIT */
/* postgres_tls: see postgres_tls.h. */
#include "postgres_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "postgres.h"

bool postgres_tls_heeds_revocations(PGconn *pg, const struct postgres_options *options)
{
    SSL *ssl =
        (options->sslcrl == NULL && options->sslcrldir == NULL) || !PQsslInUse(pg) ? NULL : PQsslStruct(pg, "OpenSSL");
    X509_STORE *store;

    if (ssl == NULL) {
        return true;
    }
    store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
    return store != NULL && (X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store)) & X509_V_FLAG_CRL_CHECK) != 0 &&
           SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
}

void postgres_tls_clear_errors(void)
{
    ERR_clear_error();
}
