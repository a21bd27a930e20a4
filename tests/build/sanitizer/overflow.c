/* SPDX-License-Identifier: MIT */
/* A read behind the end of a heap block, for the address sanitizer to find. */
#include <stdlib.h>

static char *volatile block; /* the compiler must not see how large it is, or the other sanitizer is first */

int main(void)
{
    block = calloc(1, 8);
    int value = block == NULL ? 0 : block[8];
    free(block);
    return value;
}
