/* SPDX-License-Identifier: MIT */
/* complaint: why a value was not taken, before it is known where the value stood: "found …, expected …". */
#ifndef CP_COMPLAINT_H
#define CP_COMPLAINT_H

#include <stdbool.h>

struct cp_complaint {
    bool no_memory;
    char text[480];
};

/* Returns false, for `return cp_complain(…)`. */
bool cp_complain(struct cp_complaint *complaint, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool cp_complain_no_memory(struct cp_complaint *complaint);

#endif
