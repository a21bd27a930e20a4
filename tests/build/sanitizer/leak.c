/* SPDX-License-Identifier: MIT */
/* A heap block that nothing points to any more, for the leak sanitizer to find. */
#include <stdlib.h>

static void *volatile block;

int main(void)
{
    block = malloc(64);
    block = NULL;
    return 0;
}
