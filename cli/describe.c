/* SPDX-License-Identifier: MIT */
/* describe: `connpool describe MANAGER`: the table of a manager's options, for people. */
#include "command.h"
#include "describe_markdown.h"
#include "describe_option.h"
#include "output.h"

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

static void print_options(const struct connpool_manager *manager)
{
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
        if (manager->options[i].help != NULL) {
            printf("    ");
            output_styled(OUTPUT_DIM, manager->options[i].help);
            printf("\n");
        }
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
