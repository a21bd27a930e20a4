/* SPDX-License-Identifier: MIT */
/* The conformance suite for the manager tls, against an nginx that asks for a client's certificate, whose key is
 * encrypted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tls.h>
#include <stdio.h>
#include <stdlib.h>

#include "certificates.h"
#include "conform.h"
#include "server_folder.h"
#include "server_nginx.h"

#define PASSPHRASE "what the key is locked with"

static const char *const skipped[] = {"destroy_check", "destroy_reset", NULL};

static void make_certificates(struct certificates *certificates, const struct server_folder *folder)
{
    const struct certificate_request locked = {.passphrase = PASSPHRASE};

    (void)setenv("CONFORM_PASSPHRASE", PASSPHRASE, 1);
    certificates_init(certificates, folder);
    certificates_issue(certificates, "server", NULL);
    certificates_issue(certificates, "client", &locked);
}

int main(void)
{
    char options[512], endpoint[64];
    const struct conform_subject subject = {
        .manager = "tls",
        .folder = CONNPOOL_TEST_PLUGIN_FOLDER,
        .options = options,
        .endpoint = endpoint,
        .port_option = "port",
        .native = CONNPOOL_TLS_TYPE,
        .connections = 400,
        .skipped = skipped,
    };
    struct certificates certificates;
    struct server_folder folder;
    struct server_nginx nginx;
    int failed;

    server_folder_init(&folder);
    make_certificates(&certificates, &folder);
    server_nginx_start_tls(&nginx, &folder, 60, 100000, "server", "ca");
    (void)snprintf(endpoint, sizeof(endpoint), "{\"host\": \"127.0.0.1\", \"port\": %u}", nginx.port);
    (void)snprintf(options, sizeof(options),
                   "{\"ca_file\": \"%s/ca.pem\", \"certificate\": \"%s/client.pem\", \"key\": \"%s/client.key\","
                   " \"key_passphrase\": {\"env\": \"CONFORM_PASSPHRASE\"}}",
                   folder.path, folder.path, folder.path);
    failed = conform_test("tls", &subject);
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    return failed;
}
