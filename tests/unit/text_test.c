/* SPDX-License-Identifier: MIT */
/* text, number and hash: what text may hold, how it is shown, what is a number. Failures D6, D7, D11, D21. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/number.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text;
    size_t length;
    enum cp_text_kind kind;
} kinds[] = {
    {"", 0, CP_TEXT_PLAIN},
    {"a", 1, CP_TEXT_PLAIN},
    {"\xc3\xa4", 2, CP_TEXT_PLAIN},
    {"\xe2\x82\xac", 3, CP_TEXT_PLAIN},
    {"\xf0\x9f\x98\x80", 4, CP_TEXT_PLAIN},
    {"\x1f", 1, CP_TEXT_CONTROL},
    {"\x7f", 1, CP_TEXT_CONTROL},
    {"\xc2\x80", 2, CP_TEXT_CONTROL},
    {"\xc2\x9f", 2, CP_TEXT_CONTROL},
    {"\xc2\xa0", 2, CP_TEXT_PLAIN},
    {"a\0\n", 3, CP_TEXT_NUL},
    {"\n\0", 2, CP_TEXT_NUL},
    {"\x80", 1, CP_TEXT_BROKEN},
    {"\xc0\xaf", 2, CP_TEXT_BROKEN},         /* overlong */
    {"\xe0\x80\xaf", 3, CP_TEXT_BROKEN},     /* overlong */
    {"\xf0\x80\x80\xaf", 4, CP_TEXT_BROKEN}, /* overlong */
    {"\xed\xa0\x80", 3, CP_TEXT_BROKEN},     /* a surrogate */
    {"\xf4\x90\x80\x80", 4, CP_TEXT_BROKEN}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", 4, CP_TEXT_BROKEN},
    {"\xe2\x82", 2, CP_TEXT_BROKEN}, /* cut */
    {"\xe2\x28\xa1", 3, CP_TEXT_BROKEN},
};

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        assert_int_equal(cp_text_kind(kinds[i].text, kinds[i].length), kinds[i].kind);
    }
}

static void test_quotes(void **state)
{
    char text[1000];

    (void)state;
    assert_string_equal(cp_quote("a").text, "\"a\"");
    assert_string_equal(cp_quote(NULL).text, "nothing");
    assert_string_equal(cp_quote("\"\\\n\x7f\xff\xc2\x85").text, "\"\\\"\\\\\\u000a\\u007f\\xff\\u0085\"");
    memset(text, 'a', sizeof(text));
    assert_int_equal(strlen(cp_quote_length(text, 120).text), 122);
    assert_int_equal(strlen(cp_quote_length(text, 121).text), 120 + strlen("\"…\""));
    memset(text, '\n', sizeof(text));
    assert_true(strlen(cp_quote_length(text, sizeof(text)).text) <= 125);
    assert_string_equal(cp_quote_number(1000000000).text, "1000000000");
    assert_string_equal(cp_quote_number(0.001).text, "0.001");
    assert_string_equal(cp_quote_number(-2.5).text, "-2.5");
}

static void test_paths(void **state)
{
    char name[3000];
    struct cp_path path;

    (void)state;
    assert_string_equal(cp_path_join("", "a").text, "/a");
    assert_string_equal(cp_path_join("/a", "").text, "/a/");
    assert_string_equal(cp_path_join("/a", "b/c~d\n").text, "/a/b~1c~0d\\u000a");
    memset(name, '/', sizeof(name));
    for (size_t length = 1; length < sizeof(name); length++) {
        name[length] = '\0';
        path = cp_path_join("/a", name);
        assert_true(strlen(path.text) < sizeof(path.text));
        path = cp_path_join(name, "b");
        assert_true(strlen(path.text) < sizeof(path.text));
        name[length] = '/';
    }
}

static const struct {
    const char *text;
    bool is_integer, is_number;
} numbers[] = {
    {"0", true, true},       {"-1", true, true},      {"9223372036854775807", true, true},
    {"-0", true, true},      {"1.5", false, true},    {"-9223372036854775808", true, true},
    {"1e3", false, true},    {"1E-3", false, true},   {"9223372036854775808", false, true},
    {"", false, false},      {"-", false, false},     {"-9223372036854775809", false, true},
    {"+1", false, false},    {" 1", false, false},    {"1 ", false, false},
    {"0x1", false, false},   {"1.", false, false},    {".5", false, false},
    {"1e", false, false},    {"1e+", false, false},   {"1,5", false, false},
    {"nan", false, false},   {"inf", false, false},   {"Infinity", false, false},
    {"1e400", false, false}, {"1e-400", false, true}, {"1e3x", false, false},
};

static void test_numbers(void **state)
{
    int64_t integer;
    double number;

    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_int_equal(cp_number_read_integer(numbers[i].text, &integer), numbers[i].is_integer);
        assert_int_equal(cp_number_read(numbers[i].text, &number), numbers[i].is_number);
    }
    assert_true(cp_number_read_integer("-9223372036854775808", &integer) && integer == INT64_MIN);
    assert_true(cp_number_read("-0", &number) && !signbit(number));
    assert_int_equal(cp_number_nanoseconds(1e-12), 1);
    assert_int_equal(cp_number_nanoseconds(0), 0);
    assert_int_equal(cp_number_nanoseconds(0.5), 500000000);
    assert_true(cp_number_nanoseconds(1e9) == INT64_C(1000000000000000000));
    assert_true(cp_number_is_whole(-3));
    assert_false(cp_number_is_whole(0.1));
    assert_false(cp_number_is_whole(1e300));
}

/* The vectors of the paper's appendix: key 00 … 0f, the bytes 00, 01, 02 … */
static void test_hash(void **state)
{
    static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    unsigned char bytes[16];

    (void)state;
    for (unsigned char i = 0; i < sizeof(bytes); i++) {
        bytes[i] = i;
    }
    assert_true(cp_hash_keyed(key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
    assert_true(cp_hash_keyed(key, bytes, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(cp_hash("a", 1) == cp_hash("a", 1));
    assert_true(cp_hash("a", 1) != cp_hash("b", 1));
    assert_true(cp_hash("a", 1) != cp_hash_keyed(key, "a", 1)); /* D21: the key is the process's own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_quotes), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
