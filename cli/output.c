/* SPDX-License-Identifier: MIT */
/* output: see output.h. */
#include "output.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_LENGTH 40

static bool is_terminal, is_colour, is_utf8;

static const char *const styles[] = {
    [OUTPUT_PLAIN] = "",        [OUTPUT_STRONG] = "\033[1m", [OUTPUT_DIM] = "\033[2m",
    [OUTPUT_GOOD] = "\033[32m", [OUTPUT_BAD] = "\033[31m",
};

void output_init(void)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

    (void)setlocale(LC_CTYPE, "");
    is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    is_terminal = isatty(STDOUT_FILENO) == 1;
    is_colour = is_terminal && (no_colour == NULL || no_colour[0] == '\0') &&
                (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

bool output_finish(void)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        output_complain("standard output cannot be written");
        return false;
    }
    return true;
}

/* The length of the character that text begins with, and the character; 0: its first byte is not UTF-8 (RFC 3629). */
static size_t decode(const char *text, uint32_t *character)
{
    const unsigned char *byte = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = byte[0] < 0x80         ? 1
                    : (byte[0] >> 5) == 6  ? 2
                    : (byte[0] >> 4) == 14 ? 3
                    : (byte[0] >> 3) == 30 ? 4
                                           : 0;

    *character = length < 2 ? byte[0] : byte[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] >> 6) != 2) {
            return 0;
        }
        *character = *character << 6 | (byte[i] & 0x3fu);
    }
    if (length > 1 && (*character < least[length] || *character > 0x10ffff || *character >> 11 == 0x1b)) {
        return 0;
    }
    return length;
}

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character <= 0x9f);
}

/* Writes (stream not NULL) and counts columns; kept: a control character that is let through, or 0. */
static int put(FILE *stream, const char *text, char kept)
{
    char piece[8];
    int width = 0;

    for (size_t length; *text != '\0'; text += length) {
        uint32_t character;
        int columns = 1;

        length = decode(text, &character);
        if (length == 0) {
            columns = snprintf(piece, sizeof(piece), "\\x%02X", (unsigned)character);
            length = 1;
        } else if (is_control(character) && *text != kept) {
            columns = snprintf(piece, sizeof(piece), "\\u%04X", (unsigned)character);
        } else {
            memcpy(piece, text, length);
            piece[length] = '\0';
        }
        if (stream != NULL) {
            (void)fputs(piece, stream);
        }
        width += columns;
    }
    return width;
}

void output_text(FILE *stream, const char *text)
{
    (void)put(stream, text, '\0');
}

void output_lines(FILE *stream, const char *text)
{
    (void)put(stream, text, '\n');
}

int output_width(const char *text)
{
    return put(NULL, text, '\0');
}

static const char *on(enum output_style style)
{
    return is_colour ? styles[style] : "";
}

static const char *off(enum output_style style)
{
    return is_colour && style != OUTPUT_PLAIN ? "\033[0m" : "";
}

void output_styled(enum output_style style, const char *text)
{
    (void)fputs(on(style), stdout);
    output_text(stdout, text);
    (void)fputs(off(style), stdout);
}

void output_column(enum output_style style, const char *text, int width)
{
    int spaces = width - output_width(text);

    output_styled(style, text);
    printf("%*s", spaces > 0 ? spaces : 0, "");
}

void output_duration(int64_t nanoseconds)
{
    const struct {
        int64_t size;
        const char *name;
    } units[] = {{INT64_C(1000000000), "s "}, {1000000, "ms"}, {1000, is_utf8 ? "µs" : "us"}, {1, "ns"}};
    size_t unit = 0;

    while (unit < 3 && nanoseconds < units[unit].size) {
        unit++;
    }
    printf("%9.*f %s", units[unit].size == 1 ? 0 : 1, (double)nanoseconds / (double)units[unit].size, units[unit].name);
}

void output_bar(enum output_style style, int64_t value, int64_t most)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int64_t eighths = most > 0 ? value * BAR_LENGTH * 8 / most : 0;

    if (!is_terminal) {
        return;
    }
    eighths = eighths > 0 ? eighths : 1;
    eighths = eighths < 8 && !is_utf8 ? 8 : eighths;
    printf("  %s", on(style));
    for (; eighths >= 8; eighths -= 8) {
        (void)fputs(is_utf8 ? "█" : "#", stdout);
    }
    printf("%s%s", is_utf8 ? parts[eighths] : "", off(style));
}

void output_complain(const char *format, ...)
{
    char text[2 * BUFSIZ];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    (void)fputs("connpool: ", stderr);
    output_text(stderr, text);
    (void)fputc('\n', stderr);
}
