/* SPDX-License-Identifier: MIT */
/* describe: `connpool describe MANAGER`: the table of a manager's options, for people. */
#include <string.h>

#include "command.h"
#include "describe_markdown.h"
#include "describe_option.h"
#include "output.h"

#define NOTE_WIDTH 100 /* columns */

static const char *const headings[DESCRIBE_COLUMNS] = {"OPTION", "TYPE", "DEFAULT", "LIMITS", "STANDS AT"};

static void measure(const struct connpool_manager *manager, int widths[DESCRIBE_COLUMNS])
{
    for (int column = 0; column < DESCRIBE_COLUMNS; column++) {
        widths[column] = output_width(headings[column]);
    }
    for (uint32_t i = 0; i < manager->option_count; i++) {
        struct describe_row row;

        describe_option(&manager->options[i], &row);
        for (int column = 0; column < DESCRIBE_COLUMNS; column++) {
            int width = output_width(row.cells[column]);

            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
}

/* The last column is not padded. */
static void print_cells(const struct describe_row *row, enum output_style style, const int widths[DESCRIBE_COLUMNS])
{
    for (int column = 0; column < DESCRIBE_COLUMNS - 1; column++) {
        output_column(column == DESCRIBE_NAME ? OUTPUT_STRONG : style, row->cells[column], widths[column] + 2);
    }
    output_styled(style, row->cells[DESCRIBE_COLUMNS - 1]);
    printf("\n");
}

/* Under its option, broken into lines between words. */
static void print_note(const char *note)
{
    int column = 0;

    while (*note != '\0') {
        char word[DESCRIBE_TEXT_SIZE];
        int length = (int)strcspn(note, " ");

        (void)snprintf(word, sizeof(word), "%s%.*s", column == 0 ? "    " : " ", length, note);
        if (column > 0 && column + output_width(word) > NOTE_WIDTH) {
            printf("\n");
            column = 0;
            continue;
        }
        output_styled(OUTPUT_DIM, word);
        column += output_width(word);
        note += length + (note[length] == ' ');
    }
    if (column > 0) {
        printf("\n");
    }
}

static void print_options(const struct connpool_manager *manager)
{
    char refused[DESCRIBE_TEXT_SIZE];
    struct describe_row row;
    int widths[DESCRIBE_COLUMNS];

    measure(manager, widths);
    for (int column = 0; column < DESCRIBE_COLUMNS; column++) {
        (void)snprintf(row.cells[column], DESCRIBE_TEXT_SIZE, "%s", headings[column]);
    }
    print_cells(&row, OUTPUT_STRONG, widths);
    for (uint32_t i = 0; i < manager->option_count; i++) {
        describe_option(&manager->options[i], &row);
        print_cells(&row, OUTPUT_PLAIN, widths);
        print_note(manager->options[i].help != NULL ? manager->options[i].help : "");
        describe_refused_keys(&manager->options[i], refused);
        print_note(refused);
    }
}

static void print_abilities(const struct connpool_manager *manager)
{
    printf("endpoints at run time: %s\n", manager->parse_endpoint != NULL ? "yes" : "no, only named ones");
    printf("check by a round trip: %s\n", manager->check != NULL ? "yes" : "no, only local");
    printf("reset after a lease:   %s\n", manager->reset != NULL ? "yes" : "no");
    printf("goodbye:               %s\n", manager->close != NULL ? "yes" : "no");
}

static void describe_text(const struct connpool_manager *manager)
{
    output_styled(OUTPUT_STRONG, manager->name);
    printf(" ");
    output_text(stdout, manager->version);
    printf(": ");
    output_text(stdout, manager->summary);
    printf("\n\n");
    if (manager->option_count > 0) {
        print_options(manager);
        printf("\n");
    }
    print_abilities(manager);
}

int describe_run(const struct arguments *arguments, char **operands, size_t count)
{
    const struct connpool_manager *manager;
    connpool_error error;

    (void)count;
    if (connpool_plugin_load(operands[0], arguments->folders, arguments->flags, &manager, &error) != CONNPOOL_OK) {
        output_complain("%s", error.text);
        return COMMAND_FAILED;
    }
    if (arguments->markdown) {
        describe_markdown(manager);
    } else {
        describe_text(manager);
    }
    return COMMAND_OK;
}
