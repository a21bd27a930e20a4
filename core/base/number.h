/* SPDX-License-Identifier: MIT */
/* number: numbers as a configuration writes them, and back. Any thread, never waits. */
#ifndef CP_NUMBER_H
#define CP_NUMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* It has no fraction and is small enough to be written as an integer. */
bool cp_number_is_whole(double number);
/* An integer where it is whole; new reference, NULL: no memory. */
json_t *cp_number_json(double number);
/* Seconds, 0 to 1e9, in nanoseconds, rounded up, so that something small does not become 0, which often means none. */
int64_t cp_number_nanoseconds(double seconds);

/* An integer in text: digits, perhaps after a "-", nothing else. False: it is none, or too large. */
bool cp_number_read_integer(const char *text, int64_t *number);
/* A number in text as JSON writes it (RFC 8259), whatever the locale. False: it is none, or too large. */
bool cp_number_read(const char *text, double *number);

#endif
