/* SPDX-License-Identifier: MIT */
/* chart: see chart.h. */
#include "chart.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTH 40 /* of a bar */
#define WIDTH  80 /* of a terminal */

#define STRONG "\033[1m"
#define DIM    "\033[2m"
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define PLAIN  "\033[0m"

static bool is_colour, is_utf8;

void chart_init(void)
{
    const char *no_colour = getenv("NO_COLOR");

    (void)setlocale(LC_CTYPE, "");
    is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    is_colour = isatty(STDOUT_FILENO) == 1 && (no_colour == NULL || no_colour[0] == '\0');
}

static const char *in(const char *style)
{
    return is_colour ? style : "";
}

void chart_heading(int number, const char *text)
{
    printf("\n%s %d  %s%s\n\n", in(STRONG), number, text, in(PLAIN));
}

/* Eighths of a column, the least that can be seen is one. */
static void print_bar(double part, const char *style)
{
    static const char *const rests[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(part * LENGTH * 8);

    eighths = eighths > 0 ? eighths : 1;
    eighths = eighths < 8 && !is_utf8 ? 8 : eighths;
    printf("  %s", in(style));
    for (; eighths >= 8; eighths -= 8) {
        printf("%s", is_utf8 ? "█" : "#");
    }
    printf("%s%s\n", is_utf8 ? rests[eighths] : "", in(PLAIN));
}

void chart_count(const char *group, const char *name, uint64_t value, uint64_t most, int good)
{
    printf("    %-11s%-8s%9llu", group, name, (unsigned long long)value);
    print_bar(most > 0 ? (double)value / (double)most : 0, good ? GREEN : RED);
}

void chart_time(const char *group, const char *name, int64_t value, int64_t most, int good)
{
    const char *micro = is_utf8 ? "µs" : "us";

    printf("    %-11s%-8s%6.1f %s", group, name, (double)value / (value < 1000000 ? 1e3 : 1e6),
           value < 1000000 ? micro : "ms");
    print_bar(most > 0 ? (double)value / (double)most : 0, good ? GREEN : RED);
}

void chart_tick(uint64_t value, uint64_t most)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    uint64_t height = most > 0 ? value * 8 / most : 0;

    height = height > 7 ? 7 : height;
    if (value == 0) {
        printf("%s%s%s", in(RED), is_utf8 ? "·" : ".", in(PLAIN));
    } else {
        printf("%s%s%s", in(GREEN), is_utf8 ? blocks[height] : "#", in(PLAIN));
    }
    (void)fflush(stdout);
}

void chart_note(const char *format, ...)
{
    char text[1024], *word, *rest = text;
    size_t column = 0;
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    printf("%s", in(DIM));
    while ((word = strsep(&rest, " ")) != NULL) {
        bool is_full = column == 0 || column + 1 + strlen(word) > WIDTH;

        printf("%s%s", column == 0 ? "    " : is_full ? "\n      " : " ", word);
        column = (is_full ? 6 : column + 1) + strlen(word);
    }
    printf("%s\n", in(PLAIN));
}
