/* SPDX-License-Identifier: MIT */
/* A signed overflow, for the undefined-behaviour sanitizer to find. */
#include <limits.h>

int main(int argc, char **argv)
{
    (void)argv;
    volatile int value = INT_MAX;
    value += argc;
    return value == 0;
}
