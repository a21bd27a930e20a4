/* SPDX-License-Identifier: MIT */
/* The manager tcp: the text of an endpoint (D17), the options checked before any connect, and what it asks to dial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/manager.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scripted_dial.h"

extern const struct connpool_manager connpool_manager;

#define NAME_63  "aaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"
#define NAME_255 NAME_63 "." NAME_63 "." NAME_63 "." NAME_63

struct found {
    char host[300];
    char port[16];
};

static int32_t keep(void *context, const char *option, const char *start, size_t length, struct connpool_fault *fault)
{
    struct found *found = context;
    int is_host = strcmp(option, "host") == 0;

    (void)fault;
    assert_true(is_host || strcmp(option, "port") == 0);
    (void)snprintf(is_host ? found->host : found->port, is_host ? sizeof(found->host) : sizeof(found->port), "%.*s",
                   (int)length, start);
    return 0;
}

static void text_that_names_an_endpoint(void **state)
{
    static const struct {
        const char *text, *host, *port;
    } rows[] = {
        {"example.org:443", "example.org", "443"},
        {"localhost:1", "localhost", "1"},
        {"a:65535", "a", "65535"},
        {"my_host-1.Example.ORG:80", "my_host-1.Example.ORG", "80"},
        {"example.org.:80", "example.org.", "80"},
        {"xn--bcher-kva.example:80", "xn--bcher-kva.example", "80"},
        {"3f2a9c1b:80", "3f2a9c1b", "80"},
        {"1.2.3.4:80", "1.2.3.4", "80"},
        {"4.example:80", "4.example", "80"},
        {NAME_63 ":80", NAME_63, "80"},
        {"[::1]:80", "::1", "80"},
        {"[2001:db8::1]:443", "2001:db8::1", "443"},
        {"[::ffff:1.2.3.4]:443", "::ffff:1.2.3.4", "443"},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", "80"},
        {"[fe80::1%2]:80", "fe80::1%2", "80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct connpool_fault fault = {.size = sizeof(fault)};
        struct found found = {"", ""};

        if (connpool_manager.parse_endpoint(rows[i].text, keep, &found, &fault) != 0) {
            fail_msg("%s: %s", rows[i].text, fault.text);
        }
        assert_string_equal(found.host, rows[i].host);
        assert_string_equal(found.port, rows[i].port);
    }
}

static void text_that_names_none(void **state)
{
    static const char *const texts[] = {
        "",
        ":",
        ":80",
        "host",
        "host:",
        "host:http",
        "host:80x",
        "host:+80",
        "host:-1",
        "host: 80",
        "host:80 ",
        "host:0x50",
        "host:000080",
        "host:123456",
        " host:80",
        "ho st:80",
        "host\n:80",
        "host\x01:80",
        "host:80\n",
        "host\t:80",
        "b\xc3\xbc"
        "cher.example:80",
        "host/path:80",
        "user@host:80",
        "http://host:80",
        ".host:80",
        "host..example:80",
        ".:80",
        "host.example..:80",
        NAME_63 "x:80",
        NAME_255 ":80",
        "1.2.3:80",
        "1.2.3.256:80",
        "01.2.3.4.5:80",
        "12345:80",
        "::1:80",
        "2001:db8::1:80",
        "::1",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:http",
        "[::1:80",
        "[]:80",
        "[::1]]:80",
        "[[::1]]:80",
        "[1.2.3.4]:80",
        "[host]:80",
        "[::g]:80",
        "[::1%]:80",
        "[%eth0]:80",
        "[fe80::1%eth 0]:80",
        "[fe80::1%eth\n0]:80",
        "[fe80::1%sixteen-letters-]:80",
        "[fe80::1%a%b]:80",
        "[1:2:3:4:5:6:7:8:9]:80",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct connpool_fault fault = {.size = sizeof(fault)};
        struct found found = {"", ""};

        if (connpool_manager.parse_endpoint(texts[i], keep, &found, &fault) != -CONNPOOL_ERROR_CONFIGURATION) {
            fail_msg("accepted: \"%s\"", texts[i]);
        }
        assert_int_equal(fault.error_class, CONNPOOL_ERROR_CONFIGURATION);
        assert_true(fault.text[0] != '\0');
    }
}

static void an_ipv6_address_without_brackets_is_told_of_them(void **state)
{
    struct connpool_fault fault = {.size = sizeof(fault)};
    struct found found = {"", ""};

    (void)state;
    assert_int_equal(connpool_manager.parse_endpoint("2001:db8::1:80", keep, &found, &fault),
                     -CONNPOOL_ERROR_CONFIGURATION);
    assert_string_equal(fault.text, "expected host:port, or [address]:port for an IPv6 address");
}

/* A xorshift generator (Marsaglia, 2003), so that every run sees the same texts. */
static uint32_t next_random(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* D17: whatever the text, what is taken from it can be put together to the same text again. */
static void any_text_is_refused_or_taken_apart_without_loss(void **state)
{
    static const char *const pieces[] = {"[",  "]",    ":", ":",  "::1",  "fe80::1", "%",  "%eth0", "127.0.0.1", "1.2",
                                         ".",  "a",    "-", "_",  "host", "80",      "0",  "65535", "99999",     " ",
                                         "\n", "\xff", "/", "@1", "x1",   "0x1",     "::", "abcd",  "]:80",      ":80"};
    uint32_t random = 20260101;
    unsigned accepted = 0;

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        struct connpool_fault fault = {.size = sizeof(fault)};
        struct found found = {"", ""};
        char text[128] = "";
        char again[400];

        for (uint32_t rest = next_random(&random) % 7; rest > 0; rest--) {
            (void)strncat(text, pieces[next_random(&random) % (sizeof(pieces) / sizeof(pieces[0]))], 16);
        }
        if (connpool_manager.parse_endpoint(text, keep, &found, &fault) != 0) {
            assert_int_equal(fault.error_class, CONNPOOL_ERROR_CONFIGURATION);
            continue;
        }
        accepted++;
        (void)snprintf(again, sizeof(again), strchr(found.host, ':') != NULL ? "[%s]:%s" : "%s:%s", found.host,
                       found.port);
        assert_string_equal(again, text);
        assert_null(strpbrk(found.host, " \n\xff/@[]"));
    }
    assert_true(accepted > 1000);
}

/* The manager's option struct, as its rows describe it. */
struct block {
    _Alignas(max_align_t) char bytes[256];
};

static void *member(struct block *block, const char *name)
{
    for (uint32_t i = 0; i < connpool_manager.option_count; i++) {
        if (strcmp(connpool_manager.options[i].name, name) == 0) {
            return block->bytes + connpool_manager.options[i].offset;
        }
    }
    fail_msg("no option %s", name);
    return NULL;
}

static void set_text(struct block *block, const char *name, const char *value)
{
    *(const char **)member(block, name) = value;
}

static void set_number(struct block *block, const char *name, int64_t value)
{
    *(int64_t *)member(block, name) = value;
}

static void set_small(struct block *block, const char *name, int32_t value)
{
    *(int32_t *)member(block, name) = value;
}

static int32_t init_endpoint(const struct block *block, struct connpool_fault *fault)
{
    struct connpool_head endpoint = {.options = block};

    assert_int_equal(connpool_manager.endpoint_size, sizeof(endpoint));
    *fault = (struct connpool_fault){.size = sizeof(*fault)};
    return connpool_manager.endpoint_init(&endpoint, fault);
}

static void an_endpoint_with_wrong_options_is_refused_up_front(void **state)
{
    struct block block = {{0}};
    struct connpool_fault fault;

    (void)state;
    assert_true(connpool_manager.options_size <= sizeof(block));
    set_text(&block, "host", "example.org");
    assert_int_equal(init_endpoint(&block, &fault), 0);
    set_text(&block, "host", "::1");
    assert_int_equal(init_endpoint(&block, &fault), 0);
    set_text(&block, "host", "[::1]");
    assert_int_equal(init_endpoint(&block, &fault), -CONNPOOL_ERROR_CONFIGURATION);
    set_text(&block, "host", "example.org:80");
    assert_int_equal(init_endpoint(&block, &fault), -CONNPOOL_ERROR_CONFIGURATION);
    assert_non_null(strstr(fault.text, "host"));

    set_text(&block, "host", "example.org");
    set_text(&block, "bind_address", "127.0.0.1");
    assert_int_equal(init_endpoint(&block, &fault), 0);
    set_small(&block, "family", 2);
    assert_int_equal(init_endpoint(&block, &fault), -CONNPOOL_ERROR_CONFIGURATION);
    assert_non_null(strstr(fault.text, "ipv6"));
    set_text(&block, "bind_address", "::1");
    assert_int_equal(init_endpoint(&block, &fault), 0);
    set_text(&block, "bind_address", "localhost");
    assert_int_equal(init_endpoint(&block, &fault), -CONNPOOL_ERROR_CONFIGURATION);
    assert_non_null(strstr(fault.text, "bind_address"));
}

/* What is asked to dial with these options. */
static struct connpool_dial_options dialled(const struct block *block)
{
    _Alignas(max_align_t) char connection[256] = {0};
    struct connpool_head *head = (struct connpool_head *)connection;
    struct connpool_fault fault = {.size = sizeof(fault)};
    struct connpool_wait wait = scripted_dial_wait(0, 0);
    struct scripted_dial script;

    scripted_dial_init(&script);
    head->host = &script.table;
    head->options = block;
    assert_int_equal(connpool_manager.open(connection, &wait, &fault), CONNPOOL_STEP_DONE);
    connpool_manager.destroy(connection);
    (void)close(script.peer);
    return script.options;
}

/* A12 */
static void user_timeout_is_by_default_what_the_probes_take(void **state)
{
    const int64_t second = 1000000000;
    struct block block = {{0}};

    (void)state;
    set_text(&block, "host", "example.org");
    set_number(&block, "keepalive_idle", second / 2);
    set_number(&block, "keepalive_interval", 2 * second + second / 2);
    set_number(&block, "keepalive_count", 4);
    assert_int_equal(dialled(&block).user_timeout, 13 * second);
    set_number(&block, "user_timeout", second);
    assert_int_equal(dialled(&block).user_timeout, second);
    set_number(&block, "user_timeout", 0);
    set_number(&block, "keepalive_idle", 0);
    assert_int_equal(dialled(&block).user_timeout, 0);
    set_number(&block, "keepalive_idle", 86400 * second);
    assert_int_equal(dialled(&block).user_timeout, 0);
}

static void open_dials_what_the_options_say(void **state)
{
    _Alignas(max_align_t) char connection[256] = {0};
    struct connpool_head *head = (struct connpool_head *)connection;
    struct connpool_fault fault = {.size = sizeof(fault)};
    struct connpool_wait wait = scripted_dial_wait(0, 0);
    struct scripted_dial script;
    struct block block = {{0}};
    void *out = NULL;

    (void)state;
    assert_true(connpool_manager.connection_size <= sizeof(connection));
    set_text(&block, "host", "example.org");
    set_number(&block, "port", 443);
    set_text(&block, "bind_address", "127.0.0.2");
    set_small(&block, "family", 1);
    set_number(&block, "keepalive_idle", 1);
    set_number(&block, "keepalive_interval", 2);
    set_number(&block, "keepalive_count", 3);
    set_number(&block, "user_timeout", 4);
    scripted_dial_init(&script);
    head->host = &script.table;
    head->options = &block;
    assert_int_equal(connpool_manager.open(connection, &wait, &fault), CONNPOOL_STEP_DONE);
    assert_string_equal(script.options.host, "example.org");
    assert_int_equal(script.options.port, 443);
    assert_string_equal(script.options.bind_host, "127.0.0.2");
    assert_null(script.options.path);
    assert_int_equal(script.options.flags, CONNPOOL_DIAL_IPV4 | CONNPOOL_DIAL_DELAY);
    assert_int_equal(script.options.keepalive_idle, 1);
    assert_int_equal(script.options.keepalive_interval, 2);
    assert_int_equal(script.options.keepalive_count, 3);
    assert_int_equal(script.options.user_timeout, 4);
    assert_int_equal(connpool_manager.native(connection, "connpool.tcp/1", &out), 0);
    assert_int_equal(*(int32_t *)out, script.fd);
    assert_int_equal(connpool_manager.native(connection, "connpool.unix/1", &out), -CONNPOOL_ERROR_UNSUPPORTED);
    connpool_manager.destroy(connection);
    (void)close(script.peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_names_an_endpoint),
        cmocka_unit_test(text_that_names_none),
        cmocka_unit_test(an_ipv6_address_without_brackets_is_told_of_them),
        cmocka_unit_test(any_text_is_refused_or_taken_apart_without_loss),
        cmocka_unit_test(an_endpoint_with_wrong_options_is_refused_up_front),
        cmocka_unit_test(user_timeout_is_by_default_what_the_probes_take),
        cmocka_unit_test(open_dials_what_the_options_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
