/* SPDX-License-Identifier: MIT */
/* describe_option: what a row of a manager's option table says, in words for people. */
#ifndef DESCRIBE_OPTION_H
#define DESCRIBE_OPTION_H

#include <connpool/manager.h>

#define DESCRIBE_TEXT_SIZE 1024

enum describe_column {
    DESCRIBE_NAME,
    DESCRIBE_TYPE,
    DESCRIBE_DEFAULT,
    DESCRIBE_LIMITS,
    DESCRIBE_PLACE,
    DESCRIBE_COLUMNS
};

struct describe_row {
    char cells[DESCRIBE_COLUMNS][DESCRIBE_TEXT_SIZE];
};

/* All but the help and refused keys; what is longer than a cell is cut. */
void describe_option(const struct connpool_option *option, struct describe_row *row);
/* "not host, port": the keys that a map refuses; "" for none. */
void describe_refused_keys(const struct connpool_option *option, char text[DESCRIBE_TEXT_SIZE]);

#endif
