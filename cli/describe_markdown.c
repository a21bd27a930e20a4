/* SPDX-License-Identifier: MIT */
/* describe_markdown: see describe_markdown.h. */
#include "describe_markdown.h"

#include <string.h>

#include "describe_option.h"
#include "output.h"

#define MARKS "\\|<*" /* what would not stand for itself in a cell; helps use ` as Markdown does */

/* As plain text of a cell. */
static void print_text(const char *text)
{
    char piece[DESCRIBE_TEXT_SIZE];
    size_t length = 0;

    for (; *text != '\0' && length + 2 < sizeof(piece); text++) {
        if (strchr(MARKS, *text) != NULL) {
            piece[length++] = '\\';
        }
        piece[length++] = *text;
    }
    piece[length] = '\0';
    output_text(stdout, piece);
}

static void print_cell(const char *text)
{
    printf(" | ");
    print_text(text);
}

/* A default that could be written so in a configuration stands as code. */
static void print_default(const struct connpool_option *option, const char *text)
{
    if (option->default_text == NULL) {
        print_cell(text);
        return;
    }
    printf(" | `");
    output_text(stdout, text);
    printf("`");
}

static void print_option(const struct connpool_option *option)
{
    char refused[DESCRIBE_TEXT_SIZE];
    struct describe_row row;

    describe_option(option, &row);
    describe_refused_keys(option, refused);
    printf("| `");
    output_text(stdout, row.cells[DESCRIBE_NAME]);
    printf("`");
    print_cell(row.cells[DESCRIBE_TYPE]);
    print_default(option, row.cells[DESCRIBE_DEFAULT]);
    print_cell(refused[0] != '\0' ? refused : row.cells[DESCRIBE_LIMITS]);
    print_cell(row.cells[DESCRIBE_PLACE]);
    print_cell(option->help != NULL ? option->help : "");
    printf(" |\n");
}

void describe_markdown(const struct connpool_manager *manager)
{
    printf("| option | type | default | limits | stands at | meaning |\n");
    printf("| --- | --- | --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < manager->option_count; i++) {
        print_option(&manager->options[i]);
    }
}
