/* SPDX-License-Identifier: MIT */
/* chart: bars, a line of ticks, numbers and headings in a terminal. Colour only on one, blocks only in UTF-8. */
#ifndef CHART_H
#define CHART_H

#include <stdint.h>

/* Learns what standard output is. Once, first. */
void chart_init(void);

void chart_heading(int number, const char *text);
/* "    web    opened       4  ▏": a bar that is 40 columns long for most; good: 1 in green, 0 in red. */
void chart_count(const char *group, const char *name, uint64_t value, uint64_t most, int good);
/* The same for a time in nanoseconds. */
void chart_time(const char *group, const char *name, int64_t value, int64_t most, int good);
/* One character as high as value is, where most is a whole block; shown at once. */
void chart_tick(uint64_t value, uint64_t most);
/* A sentence under a chart, broken into lines between its words. */
void chart_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
