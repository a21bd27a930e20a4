/* SPDX-License-Identifier: MIT */
/* copy_out: filling a struct of the application's, which begins with its size and may be older and shorter than ours.
 */
#ifndef CP_COPY_OUT_H
#define CP_COPY_OUT_H

#include <stdint.h>
#include <string.h>

/* As much of full, size bytes long, as the application's struct has room for; its first member becomes what was
 * written. A room too small for that member is left alone. */
static inline void cp_copy_out(void *out, uint32_t room, const void *full, uint32_t size)
{
    uint32_t copied = room < size ? room : size;

    if (copied >= sizeof(uint32_t)) {
        memcpy(out, full, copied);
        memcpy(out, &copied, sizeof(copied));
    }
}

#endif
