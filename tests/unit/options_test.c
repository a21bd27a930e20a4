/* SPDX-License-Identifier: MIT */
/* options: rows at work. Failures C21, D3, D4, D7, D11, D13; security S14. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "every_option.h"
#include "options/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct connpool_manager *const every = &every_option_manager;
static const struct cp_option_source trusting = {.folder = "/conf", .allow_inline_secrets = true};

static json_t *json_of(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(json);
    return json;
}

/* The options of one endpoint from JSON text; NULL: the first mistake is in *mistakes. */
static struct cp_option_block *resolve(const char *pool, const char *endpoint, struct cp_mistakes *mistakes)
{
    json_t *pool_json = json_of(pool), *endpoint_json = json_of(endpoint);
    struct cp_option_block *block;

    memset(mistakes, 0, sizeof(*mistakes));
    mistakes->origin = "F";
    block = cp_options_resolve(every, pool_json, "/o", endpoint_json, "/e", true, &trusting, mistakes);
    json_decref(pool_json);
    json_decref(endpoint_json);
    return block;
}

static struct cp_option_block *must_resolve(const char *pool, const char *endpoint)
{
    struct cp_mistakes mistakes;
    struct cp_option_block *block = resolve(pool, endpoint, &mistakes);

    assert_string_equal(mistakes.first, "");
    assert_non_null(block);
    return block;
}

static const struct every_options *values(const struct cp_option_block *block)
{
    return cp_options_struct(block);
}

static void test_defaults(void **state)
{
    struct cp_option_block *block = must_resolve("{}", "{\"host\": \"a\"}");
    const struct every_options *options = values(block);

    (void)state;
    assert_string_equal(options->host, "a");
    assert_int_equal(options->port, 7);
    assert_int_equal(options->any_integer, 0);
    assert_true(options->ratio > 0.49 && options->ratio < 0.51);
    assert_int_equal(options->verify, 1);
    assert_int_equal(options->mode, 1);
    assert_int_equal(options->patience, 1500 * CP_MILLISECOND);
    assert_int_equal(options->buffer, 64 * 1024);
    assert_null(options->certificate);
    assert_int_equal(options->tags.count, 0);
    assert_null(options->tags.items);
    assert_null(options->password);
    assert_int_equal(options->keywords.count, 0);
    cp_options_unref(block);
}

static void test_all_types(void **state)
{
    struct cp_option_block *block = must_resolve(
        "{\"port\": 1, \"authority\": \"ca.pem\", \"password\": \"hunter2\", \"verify\": false}",
        "{\"host\": \"b\", \"port\": 65535, \"ratio\": 1, \"mode\": \"loose\", \"patience\": 3600, \"buffer\": "
        "\"2MiB\", \"certificate\": \"./c/d\", \"tags\": [\"x\", \"y\"], \"keywords\": {\"k\": \"v\"}, \"note\": "
        "\"n\", \"any_integer\": -9223372036854775808, \"x-mine\": [], \"pool\": {}}");
    const struct every_options *options = values(block);

    (void)state;
    assert_int_equal(options->port, 65535);
    assert_true(options->ratio > 0.99);
    assert_int_equal(options->verify, 0);
    assert_int_equal(options->mode, 2);
    assert_int_equal(options->patience, 3600 * CP_SECOND);
    assert_int_equal(options->buffer, 2 * 1024 * 1024);
    assert_string_equal(options->certificate, "/conf/c/d");
    assert_string_equal(options->authority, "/conf/ca.pem");
    assert_int_equal(options->tags.count, 2);
    assert_string_equal(options->tags.items[1], "y");
    assert_string_equal(options->password, "hunter2");
    assert_string_equal(options->keywords.keys[0], "k");
    assert_string_equal(options->keywords.values[0], "v");
    assert_string_equal(options->note, "n");
    assert_true(options->any_integer == INT64_MIN);
    cp_options_unref(block);
}

/* Two values of each type, as an option's JSON. */
static const char *const pairs[][2] = {
    [CONNPOOL_TYPE_STRING] = {"\"one\"", "\"other\""},
    [CONNPOOL_TYPE_INTEGER] = {"1", "2"},
    [CONNPOOL_TYPE_NUMBER] = {"0.25", "0.75"},
    [CONNPOOL_TYPE_BOOLEAN] = {"true", "false"},
    [CONNPOOL_TYPE_DURATION] = {"1", "1.000000001"},
    [CONNPOOL_TYPE_SIZE] = {"1024", "\"2KiB\""},
    [CONNPOOL_TYPE_PATH] = {"\"/one\"", "\"other\""},
    [CONNPOOL_TYPE_CHOICE] = {"\"plain\"", "\"loose\""},
    [CONNPOOL_TYPE_LIST] = {"[\"one\"]", "[\"one\", \"other\"]"},
    [CONNPOOL_TYPE_SECRET] = {"\"hunter2\"", "\"hunter3\""},
    [CONNPOOL_TYPE_MAP] = {"{\"k\": \"one\"}", "{\"k\": \"other\"}"},
};

static struct cp_option_block *with_row(const struct connpool_option *row, const char *value)
{
    bool at_pool = row->level == CONNPOOL_LEVEL_POOL;
    char one[256], host[] = "{\"host\": \"h\"}";
    bool is_host = strcmp(row->name, "host") == 0;

    (void)snprintf(one, sizeof(one), "{\"%s\": %s%s}", row->name, value, at_pool || is_host ? "" : ", \"host\": \"h\"");
    return at_pool ? must_resolve(one, host) : must_resolve("{}", one);
}

/* C21, S14: every row counts, whatever rows there are. */
static void test_every_row_tells_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < every->option_count; i++) {
        const struct connpool_option *row = &every->options[i];
        struct cp_option_block *one = with_row(row, pairs[row->type][0]), *same = with_row(row, pairs[row->type][0]),
                               *other = with_row(row, pairs[row->type][1]);
        bool is_secret = row->type == CONNPOOL_TYPE_SECRET, is_shared = (row->flags & CONNPOOL_OPTION_SHARED) != 0;

        assert_true(cp_options_equal(one, same));
        assert_true(cp_options_hash(one) == cp_options_hash(same));
        assert_false(cp_options_equal(one, other));
        assert_int_equal(cp_options_hash(one) == cp_options_hash(other), is_secret);
        assert_int_equal(cp_options_public_equal(one, other), is_secret);
        assert_int_equal(cp_options_shared_equal(one, other), !is_shared);
        cp_options_unref(one);
        cp_options_unref(same);
        cp_options_unref(other);
    }
}

/* D2, D22: what is shown holds every value but secrets. */
static void test_redacted(void **state)
{
    struct cp_option_block *block =
        must_resolve("{\"password\": \"hunter2\", \"authority\": \"/a\"}", "{\"host\": \"h\", \"note\": \"n\"}");
    json_t *shown = cp_options_redacted(block, CONNPOOL_LEVEL_BOTH);
    json_t *endpoint = cp_options_redacted(block, CONNPOOL_LEVEL_ENDPOINT);
    char *text = json_dumps(shown, 0);

    (void)state;
    assert_string_equal(text, "{\"host\": \"h\", \"port\": 7, \"any_integer\": 0, \"ratio\": 0.5, \"verify\": true, "
                              "\"mode\": \"strict\", \"patience\": 1.5, \"buffer\": 65536, \"password\": "
                              "\"(redacted)\", \"authority\": \"/a\", \"note\": \"n\"}");
    assert_null(json_object_get(endpoint, "authority"));
    assert_non_null(json_object_get(endpoint, "note"));
    free(text);
    json_decref(shown);
    json_decref(endpoint);
    cp_options_unref(block);
}

static const struct {
    const char *pool, *endpoint, *mistake;
} wrong[] = {
    /* D3 */
    {"{}", "{\"host\": 5}", "F: /e/host: found 5, expected text of 1 to 253 bytes"},
    {"{}", "{\"host\": \"\"}", "F: /e/host: found \"\", expected text of 1 to 253 bytes"}, /* D13 */
    {"{}", "{\"host\": null}", "F: /e/host: found null, expected text of 1 to 253 bytes"},
    {"{}", "{}", "F: /e/host: found nothing, expected text of 1 to 253 bytes"},
    {"{\"port\": \"7\"}", "{\"host\": \"h\"}", "F: /o/port: found \"7\", expected an integer from 1 to 65535"},
    {"{\"port\": 7.0}", "{\"host\": \"h\"}", "F: /o/port: found 7.0, expected an integer from 1 to 65535"},
    {"{\"port\": 0}", "{\"host\": \"h\"}", "F: /o/port: found 0, expected an integer from 1 to 65535"},
    {"{\"port\": 65536}", "{\"host\": \"h\"}", "F: /o/port: found 65536, expected an integer from 1 to 65535"},
    {"{\"ratio\": 1.5}", "{\"host\": \"h\"}", "F: /o/ratio: found 1.5, expected a number from 0 to 1"},
    {"{\"ratio\": true}", "{\"host\": \"h\"}", "F: /o/ratio: found true, expected a number from 0 to 1"},
    {"{\"verify\": 1}", "{\"host\": \"h\"}", "F: /o/verify: found 1, expected true or false"},
    {"{\"mode\": \"lose\"}", "{\"host\": \"h\"}",
     "F: /o/mode: found \"lose\", expected one of \"plain\", \"strict\", \"loose\""},
    {"{\"patience\": -1}", "{\"host\": \"h\"}",
     "F: /o/patience: found -1, expected a number of seconds from 0.1 to 3600"},
    {"{\"patience\": 1e300}", "{\"host\": \"h\"}",
     "F: /o/patience: found 1e300, expected a number of seconds from 0.1 to 3600"},
    {"{\"buffer\": \"12\"}", "{\"host\": \"h\"}",
     "F: /o/buffer: found \"12\", expected a number of bytes, or text with KiB, MiB or GiB, from 1 to 1GiB"},
    {"{\"buffer\": \"99999999999GiB\"}", "{\"host\": \"h\"}",
     "F: /o/buffer: found \"99999999999GiB\", expected a number of bytes, or text with KiB, MiB or GiB, from 1 to "
     "1GiB"},
    {"{\"tags\": \"x\"}", "{\"host\": \"h\"}", "F: /o/tags: found \"x\", expected a list of texts of at most 3 items"},
    {"{\"tags\": [\"x\", 5]}", "{\"host\": \"h\"}",
     "F: /o/tags: found a list with an integer in it, expected a list of texts of at most 3 items"},
    {"{\"tags\": [\"1\", \"2\", \"3\", \"4\"]}", "{\"host\": \"h\"}",
     "F: /o/tags: found a list, expected a list of texts of at most 3 items"},
    {"{\"keywords\": {\"password\": \"hunter2\"}}", "{\"host\": \"h\"}",
     "F: /o/keywords: found the key \"password\", expected other keys: this one is refused here"},
    {"{\"keywords\": \"password=hunter2\"}", "{\"host\": \"h\"}",
     "F: /o/keywords: found text, expected an object of texts"},
    {"{\"password\": \"abc\"}", "{\"host\": \"h\"}",
     "F: /o/password: found a secret that is too short or too long, expected a secret of at least 4 bytes"},
    /* D4 */
    {"{\"hots\": \"h\"}", "{\"host\": \"h\"}", "F: /o/hots: found an unknown key, did you mean \"host\"?"},
    {"{}", "{\"host\": \"h\", \"max_size\": 3}",
     "F: /e/max_size: found a key that does not belong here, expected it under the endpoint's \"pool\""},
    {"{\"note\": \"n\"}", "{\"host\": \"h\"}",
     "F: /o/note: found a key that does not belong here, expected it under an endpoint"},
    {"{}", "{\"host\": \"h\", \"authority\": \"/a\"}",
     "F: /e/authority: found a key that does not belong here, expected it under the pool's \"options\""},
    /* D11 */
    {"{}", "{\"host\": \"a\\nb\"}",
     "F: /e/host: found \"a\\u000ab\" with a control character, expected text of 1 to 253 bytes"},
    {"{\"tags\": [\"\\u007f\"]}", "{\"host\": \"h\"}",
     "F: /o/tags: found \"\\u007f\" with a control character, expected a list of texts of at most 3 items"},
    {"[]", "{\"host\": \"h\"}", "F: /o: found a list, expected an object of options"},
};

static void test_wrong_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct cp_mistakes mistakes;

        assert_null(resolve(wrong[i].pool, wrong[i].endpoint, &mistakes));
        assert_string_equal(mistakes.first, wrong[i].mistake);
        assert_int_equal(mistakes.count, 1);
    }
}

static void test_every_mistake_is_found(void **state)
{
    struct cp_mistakes mistakes;

    (void)state;
    assert_null(resolve("{\"port\": 0, \"ratio\": 2}", "{\"mode\": 5, \"tags\": 6}", &mistakes));
    assert_int_equal(mistakes.count, 5); /* the fifth: no host */
}

/* ---- Text given at run time ---- */

static struct cp_option_block *defaults_of(const char *pool)
{
    struct cp_mistakes mistakes = {.origin = "F"};
    json_t *json = json_of(pool);
    struct cp_option_block *block = cp_options_defaults(every, json, "/o", &trusting, &mistakes);

    json_decref(json);
    assert_non_null(block);
    return block;
}

static void test_text(void **state)
{
    struct cp_option_block *defaults = defaults_of("{\"port\": 9, \"password\": \"hunter2\"}");
    struct cp_option_block *plain = cp_options_parse_text(every, defaults, "h", NULL);
    struct cp_option_block *explicit = cp_options_parse_text(every, defaults, "h:9", NULL);
    struct cp_option_block *other = cp_options_parse_text(every, defaults, "h:10!tags=a,b", NULL);

    (void)state;
    cp_options_unref(defaults); /* what was made from it keeps what it borrows */
    assert_true(cp_options_equal(plain, explicit));
    assert_false(cp_options_equal(plain, other));
    assert_string_equal(values(plain)->password, "hunter2");
    assert_int_equal(values(other)->port, 10);
    assert_int_equal(values(other)->tags.count, 2);
    assert_string_equal(values(other)->tags.items[0], "a");
    cp_options_unref(plain);
    cp_options_unref(explicit);
    cp_options_unref(other);
}

static const struct {
    const char *text, *value;
} texts[] = {
    {"any_integer=-5", "-5"},
    {"ratio=0.125", "0.125"},
    {"verify=false", "false"},
    {"mode=plain", "\"plain\""},
    {"patience=0.25", "0.25"},
    {"buffer=3 KiB", "3072"},
    {"buffer=17", "17"},
    {"certificate=x", "\"/conf/x\""},
    {"certificate=@x", "\"@x\""},
    {"tags=a", "[\"a\"]"},
    {"keywords=a=1,b=", "{\"a\": \"1\", \"b\": \"\"}"},
};

static void test_text_of_all_types(void **state)
{
    struct cp_option_block *defaults = defaults_of("{\"host\": \"h\"}");

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char text[64] = "!", name[32] = "", *found;
        struct cp_option_block *block;
        json_t *shown;

        memcpy(name, texts[i].text, strcspn(texts[i].text, "="));
        (void)snprintf(text, sizeof(text), "!%s", texts[i].text);
        block = cp_options_parse_text(every, defaults, text, NULL);
        assert_non_null(block);
        shown = cp_options_redacted(block, CONNPOOL_LEVEL_BOTH);
        found = json_dumps(json_object_get(shown, name), JSON_ENCODE_ANY);
        assert_string_equal(found, texts[i].value);
        free(found);
        json_decref(shown);
        cp_options_unref(block);
    }
    cp_options_unref(defaults);
}

static const struct {
    const char *text, *error;
} wrong_texts[] = {
    {":5", "endpoint \":5\": found nothing for the option host"},
    {"h:0", "endpoint \"h:0\": port: found \"0\", expected an integer from 1 to 65535"},
    {"h:", "endpoint \"h:\": port: found \"\", expected an integer from 1 to 65535"},
    {"h: 5", "endpoint \"h: 5\": port: found \" 5\", expected an integer from 1 to 65535"},
    {"h:5.0", "endpoint \"h:5.0\": port: found \"5.0\", expected an integer from 1 to 65535"},
    {"h:0x10", "endpoint \"h:0x10\": port: found \"0x10\", expected an integer from 1 to 65535"},
    {"a\nb", "endpoint \"a\\u000ab\": host: found \"a\\u000ab\" with a control character, expected text of 1 to 253 "
             "bytes"},
    {"\xff", "endpoint \"\\xff\": host: found text that is not UTF-8, expected text of 1 to 253 bytes"},
    {"h!shared_note=x", "endpoint \"h!shared_note=x\": shared_note: found it in text, expected it in the configuration "
                        "only"},
    {"h!authority=/x",
     "endpoint \"h!authority=/x\": authority: found it in text, expected it in the configuration only"},
    {"h!password=hunter2", "endpoint (hidden: it holds a secret): password: found a secret in text, expected it in the "
                           "configuration, by reference"},
    {"h!nonsense=1", "endpoint \"h!nonsense=1\": nonsense: found no such option, expected one of the manager's rows"},
    {"h!patience=nan", "endpoint \"h!patience=nan\": patience: found \"nan\", expected a number of seconds from 0.1 to "
                       "3600"}, /* D7 */
    {"h!ratio=Infinity", "endpoint \"h!ratio=Infinity\": ratio: found \"Infinity\", expected a number from 0 to 1"},
    {"h!keywords=a=1,a=2", "endpoint \"h!keywords=a=1,a=2\": keywords: found the key \"a\" twice, expected it once"},
};

static void test_wrong_texts(void **state)
{
    struct cp_option_block *defaults = defaults_of("{}");

    (void)state;
    for (size_t i = 0; i < COUNT(wrong_texts); i++) {
        connpool_error error = {.status = CONNPOOL_OK};

        assert_null(cp_options_parse_text(every, defaults, wrong_texts[i].text, &error));
        assert_string_equal(error.text, wrong_texts[i].error);
        assert_int_equal(error.status, CONNPOOL_NOT_FOUND);
    }
    cp_options_unref(defaults);
}

static int32_t parse_carelessly(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    (void)set(context, "host", text, strlen(text), fault);
    (void)set(context, "port", "0", 1, fault);
    return 0;
}

static int32_t parse_silently(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    (void)text;
    (void)set;
    (void)context;
    (void)fault;
    return -CONNPOOL_ERROR_CONFIGURATION;
}

/* What a parser does wrong makes no endpoint with values that were refused. */
static void test_careless_parsers(void **state)
{
    struct connpool_manager manager = every_option_manager;
    struct cp_mistakes mistakes = {.origin = "F"};
    struct cp_option_block *defaults = cp_options_defaults(&manager, NULL, "/o", &trusting, &mistakes);
    connpool_error error;

    (void)state;
    manager.parse_endpoint = parse_carelessly;
    assert_true(cp_options_take_text(&manager));
    assert_null(cp_options_parse_text(&manager, defaults, "h", &error));
    assert_string_equal(error.text, "endpoint \"h\": port: found \"0\", expected an integer from 1 to 65535");
    manager.parse_endpoint = parse_silently;
    assert_null(cp_options_parse_text(&manager, defaults, "h", &error));
    assert_string_equal(error.text, "endpoint \"h\": the manager refused it without a reason");
    assert_int_equal(error.error_class, CONNPOOL_ERROR_MISBEHAVING);
    manager.parse_endpoint = NULL;
    assert_false(cp_options_take_text(&manager));
    cp_options_unref(defaults);
}

static void test_manager_that_takes_no_text(void **state)
{
    struct cp_mistakes mistakes = {.origin = "F"};
    struct cp_option_block *defaults = cp_options_defaults(&named_only_manager, NULL, "/o", &trusting, &mistakes);
    connpool_error error;

    (void)state;
    assert_null(cp_options_parse_text(&named_only_manager, defaults, "h", &error));
    assert_int_equal(error.status, CONNPOOL_NOT_FOUND);
    assert_string_equal(error.text,
                        "endpoint \"h\": not named in the configuration, and manager named takes no others");
    cp_options_unref(defaults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_types),
        cmocka_unit_test(test_every_row_tells_apart),
        cmocka_unit_test(test_redacted),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_every_mistake_is_found),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_of_all_types),
        cmocka_unit_test(test_wrong_texts),
        cmocka_unit_test(test_careless_parsers),
        cmocka_unit_test(test_manager_that_takes_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
