/* SPDX-License-Identifier: MIT */
/* output: what the command writes: text from elsewhere made harmless, colour and bars where a person looks. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum output_style { OUTPUT_PLAIN, OUTPUT_STRONG, OUTPUT_DIM, OUTPUT_GOOD, OUTPUT_BAD };

/* Learns what standard output is: colour and bars on a terminal (without NO_COLOR, no-color.org), UTF-8 by the locale.
 * Once, first. */
void output_init(void);
/* Flushes. False: something could not be written, and stderr says so. */
bool output_finish(void);

/* Writes text with control characters (below U+0020, U+007F … U+009F) as \u00XX and bytes that are no UTF-8 as \xXX. */
void output_text(FILE *stream, const char *text);
/* The same over several lines: line ends stay. */
void output_lines(FILE *stream, const char *text);
/* output_text in a style, on standard output. */
void output_styled(enum output_style style, const char *text);
/* output_styled, then spaces up to width columns. */
void output_column(enum output_style style, const char *text, int width);

/* How many columns output_text takes, a character each. */
int output_width(const char *text);

/* A time in the unit that suits it, right-aligned in 12 columns: "   85.2 µs". */
void output_duration(int64_t nanoseconds);
/* A bar for value where the longest, for most, is 40 columns; nothing where standard output is no terminal. */
void output_bar(enum output_style style, int64_t value, int64_t most);

/* Writes "connpool: " and the formatted sentence to stderr, control characters escaped. */
void output_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
