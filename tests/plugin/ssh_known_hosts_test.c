/* SPDX-License-Identifier: MIT */
/* The reading of known_hosts, and the forms in which keys come (A34, S9): each kind of line and name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../plugins/ssh/known_hosts.h"

/* The wire form of a key of a kind is what its text says; the bytes behind the kind are nobody's. */
#define ED25519       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAgEC"
#define ED25519_OTHER "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAgED"
#define RSA           "ssh-rsa AAAAB3NzaC1yc2EAAAACAQI="
#define ED25519_WIRE  "\0\0\0\x0bssh-ed25519\0\0\0\x02\x01\x02"
/* HMAC-SHA1 of "example.org" with the salt 00 01 … 13 */
#define HASHED "|1|AAECAwQFBgcICQoLDA0ODxAREhM=|bFDVYqbsfLlUB0fPAZemUYx8Gnc="

static struct ssh_memory memory;
static struct known_hosts known_hosts;
static char text[4096];

static int32_t read_text(const char *lines, struct connpool_fault *fault)
{
    *fault = (struct connpool_fault){.size = sizeof(*fault)};
    ssh_memory_fini(&memory);
    (void)snprintf(text, sizeof(text), "%s", lines);
    return known_hosts_read(&known_hosts, text, "the-file", &memory, fault);
}

static void expect_read(const char *lines)
{
    struct connpool_fault fault;

    if (read_text(lines, &fault) != 0) {
        fail_msg("%s: %s", lines, fault.text);
    }
}

static int end(void **state)
{
    (void)state;
    ssh_memory_fini(&memory);
    return 0;
}

static bool has(const char *name)
{
    return known_hosts_have(&known_hosts, name, (const unsigned char *)ED25519_WIRE, sizeof(ED25519_WIRE) - 1);
}

static void lines_that_are_understood(void **state)
{
    (void)state;
    expect_read("");
    assert_int_equal(known_hosts.count, 0);
    expect_read("# a comment\n\n   \t\n \t# another\nexample.org " ED25519 "\r\n\texample.net\t" ED25519 " a comment\n"
                "example.com " RSA);
    assert_int_equal(known_hosts.count, 3);
    assert_true(has("example.org"));
    assert_true(has("example.net"));
    assert_false(has("example.com"));
    assert_int_equal(known_hosts_kinds(&known_hosts, "example.com"), 1u << SSH_KEY_RSA);
    assert_int_equal(known_hosts_kinds(&known_hosts, "example.org"), 1u << SSH_KEY_ED25519);
    assert_int_equal(known_hosts_kinds(&known_hosts, "nowhere"), 0);
}

static void the_key_must_be_the_same_to_the_last_byte(void **state)
{
    (void)state;
    expect_read("example.org " ED25519_OTHER "\n");
    assert_false(has("example.org"));
    assert_false(
        known_hosts_have(&known_hosts, "example.org", (const unsigned char *)ED25519_WIRE, sizeof(ED25519_WIRE) - 2));
}

static void names(void **state)
{
    static const struct {
        const char *names, *name;
        bool is_found;
    } rows[] = {
        {"example.org", "example.org", true},
        {"Example.ORG", "example.org", true},
        {"example.org", "example.or", false},
        {"example.or", "example.org", false},
        {"a,example.org,b", "example.org", true},
        {"*", "example.org", true},
        {"*.org", "example.org", true},
        {"*.org", "org", false},
        {"ex*l*.o*", "example.org", true},
        {"example.???", "example.org", true},
        {"example.????", "example.org", false},
        {"?*", "", false},
        {"*,!example.org", "example.org", false},
        {"!example.org,*", "example.org", false},
        {"!example.org", "example.net", false},
        {"*.org,!*.bad.org", "good.org", true},
        {"*.org,!*.bad.org", "very.bad.org", false},
        {"[example.org]:2222", "[example.org]:2222", true},
        {"example.org", "[example.org]:2222", false},
        {"[example.org]:*", "[example.org]:22", true},
        {",", "example.org", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[256];

        (void)snprintf(line, sizeof(line), "%s " ED25519 "\n", rows[i].names);
        expect_read(line);
        if (has(rows[i].name) != rows[i].is_found) {
            fail_msg("%s and %s", rows[i].names, rows[i].name);
        }
    }
}

static void hashed_names(void **state)
{
    (void)state;
    expect_read(HASHED " " ED25519 "\n");
    assert_true(has("example.org"));
    assert_false(has("example.net"));
    assert_false(has("EXAMPLE.org"));
}

static void lines_that_are_refused(void **state)
{
    static const char *const lines[] = {
        "@revoked * " ED25519,
        "@cert-authority *.org " ED25519,
        "@anything example.org " ED25519,
        "@",
        "example.org",
        "example.org ssh-ed25519",
        "example.org ssh-ed25519 AAAA",
        "example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAgE",
        "example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAg=C",
        "example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAg.C",
        "example.org ssh-ed25519 AAAAB3NzaC1yc2EAAAACAQI=",
        "example.org 1024 35 123456789",
        "|1|short|short " ED25519,
        "|1|" ED25519,
        "|2|abc|def " ED25519,
        "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=,example.org " ED25519,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct connpool_fault fault;
        char all[512];

        (void)snprintf(all, sizeof(all), "example.net " ED25519 "\n%s\n", lines[i]);
        if (read_text(all, &fault) != -CONNPOOL_ERROR_CONFIGURATION || strstr(fault.text, "the-file, line 2") == NULL) {
            fail_msg("%s: %s", lines[i], fault.text);
        }
    }
}

static void how_a_server_is_looked_up(void **state)
{
    char name[KNOWN_HOSTS_NAME_SIZE];

    (void)state;
    known_hosts_name("Example.ORG", 22, name);
    assert_string_equal(name, "example.org");
    known_hosts_name("Example.ORG", 2222, name);
    assert_string_equal(name, "[example.org]:2222");
    known_hosts_name("::1", 2222, name);
    assert_string_equal(name, "[::1]:2222");
}

static void digests(void **state)
{
    const unsigned char *key = (const unsigned char *)ED25519_WIRE;

    (void)state;
    assert_true(
        ssh_key_has_digest(key, sizeof(ED25519_WIRE) - 1, "SHA256:xrPeIJhpRWfxxzIaHHzgc5B+xnObyfKI0uXf2xHAXt8"));
    assert_false(
        ssh_key_has_digest(key, sizeof(ED25519_WIRE) - 2, "SHA256:xrPeIJhpRWfxxzIaHHzgc5B+xnObyfKI0uXf2xHAXt8"));
    assert_false(ssh_key_is_digest("SHA256:"));
    assert_false(ssh_key_is_digest("SHA256:xrPeIJhpRWfxxzIaHHzgc5B+xnObyfKI0uXf2xHAXt8="));
    assert_false(ssh_key_is_digest("sha256:xrPeIJhpRWfxxzIaHHzgc5B+xnObyfKI0uXf2xHAXt8"));
    assert_false(ssh_key_is_digest("MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"));
    assert_true(ssh_key_is_digest("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_are_understood),
        cmocka_unit_test(the_key_must_be_the_same_to_the_last_byte),
        cmocka_unit_test(names),
        cmocka_unit_test(hashed_names),
        cmocka_unit_test(lines_that_are_refused),
        cmocka_unit_test(how_a_server_is_looked_up),
        cmocka_unit_test(digests),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
