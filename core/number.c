/* SPDX-License-Identifier: MIT */
/* number: see number.h. */
#include "number.h"

#include "clock.h"

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
