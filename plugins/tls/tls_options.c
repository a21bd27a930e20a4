/* SPDX-License-Identifier: MIT */
/* tls_options: the rows, and what the host cannot check by them. */
#include "tls_options.h"

#include <openssl/ssl.h>
#include <string.h>

#include "../common/fault.h"
#include "../common/host_port.h"

#define PROTOCOL_LENGTH_MAXIMUM 255 /* RFC 7301, 3.1 */

static const char *const version_names[] = {"TLSv1.2", "TLSv1.3", NULL};
const int tls_option_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

#define ROW(member) .name = #member, .offset = offsetof(struct tls_options, member)

const struct connpool_option tls_option_rows[TLS_OPTION_COUNT] = {
    DIAL_OPTION_ROWS_OF_HOST_AND_PORT(offsetof(struct tls_options, dial)),
    {
        ROW(server_name),
        .help = "name or address that the certificate must bear, sent as SNI if it is a name; default: the host",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_STRING,
        .minimum = "1",
    },
    {
        ROW(alpn),
        .help = "application protocols offered to the server, the preferred one first",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_LIST,
        .maximum = "16",
    },
    {
        ROW(sessions),
        .help = "sessions kept to resume later connections with, 0: every handshake is a full one",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_INTEGER,
        .default_text = "8",
        .minimum = "0",
        .maximum = "32",
    },
    {
        ROW(confirm_timeout),
        .help = "where a TLS 1.3 server asked for a client certificate, seconds that an open waits for the server's "
                "first word, which tells that it accepted; 0: not at all",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_DURATION,
        .default_text = "0.5",
        .minimum = "0",
        .maximum = "60",
    },
    {
        ROW(ca_file),
        .help = "PEM file of the authorities that are trusted; without ca_file and ca_path: the system's",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(ca_path),
        .help = "folder of such files under their hashed names (openssl rehash)",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(crl_file),
        .help = "PEM file of revocation lists, of each authority of a chain; default: revocation is not looked at",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(certificate),
        .help = "PEM file of the client's own certificate, and behind it those of its chain",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(key),
        .help = "PEM file of its private key, closed to group and others; default: the certificate's file",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(key_text),
        .help = "the private key itself, in PEM, in place of its file",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_SECRET,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(key_passphrase),
        .help = "what the private key is encrypted with",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_SECRET,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(min_version),
        .help = "oldest version of the protocol that is spoken",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_CHOICE,
        .flags = CONNPOOL_OPTION_SHARED,
        .default_text = "TLSv1.2",
        .choices = version_names,
    },
    {
        ROW(max_version),
        .help = "newest version of the protocol that is spoken",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_CHOICE,
        .flags = CONNPOOL_OPTION_SHARED,
        .default_text = "TLSv1.3",
        .choices = version_names,
    },
    {
        ROW(ciphers),
        .help = "ciphers of TLS 1.2, as of openssl-ciphers(1); default: OpenSSL's",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(ciphersuites),
        .help = "cipher suites of TLS 1.3, joined by ':'; default: OpenSSL's",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(groups),
        .help = "groups of the key exchange, joined by ':', the preferred one first; default: OpenSSL's",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(insecure_no_verification),
        .help = "accept any certificate of anybody: whoever is on the way can read and change everything",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_BOOLEAN,
        .flags = CONNPOOL_OPTION_SHARED,
        .default_text = "false",
    },
    DIAL_OPTION_ROWS_OF_SOCKET(offsetof(struct tls_options, dial)),
};

const char *tls_options_name(const struct tls_options *options)
{
    return options->server_name == NULL ? options->dial.host : options->server_name;
}

static int32_t check_alpn(const struct connpool_list *alpn, struct connpool_fault *fault)
{
    size_t total = 0;

    for (uint32_t i = 0; i < alpn->count; i++) {
        size_t length = strlen(alpn->items[i]);

        if (length == 0 || length > PROTOCOL_LENGTH_MAXIMUM) {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                              "alpn: a protocol's name of %zu bytes, expected 1 to %d", length,
                              PROTOCOL_LENGTH_MAXIMUM);
        }
        total += 1 + length;
    }
    if (total > TLS_ALPN_SIZE) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "alpn: %zu bytes for all names and their lengths, expected at most %d", total, TLS_ALPN_SIZE);
    }
    return 0;
}

int32_t tls_options_check(const struct tls_options *options, struct connpool_fault *fault)
{
    int32_t result = dial_options_check(&options->dial, fault);

    /* An empty name would switch the check of names off (SSL_set1_host(3)): host_port refuses it. */
    if (result == 0 && options->server_name != NULL) {
        struct connpool_fault reason = {.size = sizeof(reason)};

        if (host_port_check_host(options->server_name, strlen(options->server_name), &reason) != 0) {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "server_name: %s", reason.text);
        }
    }
    return result == 0 ? check_alpn(&options->alpn, fault) : result;
}

unsigned tls_options_alpn(const struct tls_options *options, unsigned char wire[TLS_ALPN_SIZE])
{
    unsigned size = 0;

    for (uint32_t i = 0; i < options->alpn.count; i++) {
        size_t length = strlen(options->alpn.items[i]);

        wire[size++] = (unsigned char)length;
        memcpy(wire + size, options->alpn.items[i], length);
        size += (unsigned)length;
    }
    return size;
}
