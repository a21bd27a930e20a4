/* SPDX-License-Identifier: MIT */
/* number: see number.h. */
#include "base/number.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Under this every double without a fraction is an int64_t, and prints without an exponent. */
#define WHOLE 1e15

bool cp_number_is_whole(double number)
{
    double rest;

    if (!(number > -WHOLE && number < WHOLE)) {
        return false;
    }
    rest = number - (double)(int64_t)number;
    return !(rest > 0) && !(rest < 0);
}

json_t *cp_number_json(double number)
{
    return cp_number_is_whole(number) ? json_integer((json_int_t)number) : json_real(number);
}

int64_t cp_number_nanoseconds(double seconds)
{
    double exact = seconds * (double)CP_SECOND;
    int64_t down = (int64_t)exact;

    return down + ((double)down < exact);
}

bool cp_number_read_integer(const char *text, int64_t *number)
{
    bool is_negative = *text == '-';
    int64_t read = 0;

    text += is_negative;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        int digit = is_negative ? '0' - *text : *text - '0';

        if (*text < '0' || *text > '9' || __builtin_mul_overflow(read, 10, &read) ||
            __builtin_add_overflow(read, digit, &read)) {
            return false;
        }
    }
    *number = read;
    return true;
}

/* Skips digits; false: there are none. */
static bool skip_digits(const char **text)
{
    size_t digits = strspn(*text, "0123456789");

    *text += digits;
    return digits > 0;
}

static bool is_json_number(const char *text)
{
    text += *text == '-';
    if (!skip_digits(&text)) {
        return false;
    }
    if (*text == '.' && (text++, !skip_digits(&text))) {
        return false;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        return skip_digits(&text) && *text == '\0';
    }
    return *text == '\0';
}

bool cp_number_read(const char *text, double *number)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc has it at hand: no memory is taken */
    bool is_number = c != (locale_t)0 && is_json_number(text);
    double read = is_number ? strtod_l(text, NULL, c) : 0;

    if (c != (locale_t)0) {
        freelocale(c);
    }
    *number = read + 0.0;                 /* -0 becomes 0 */
    return is_number && read - read <= 0; /* infinity less itself is no number */
}
