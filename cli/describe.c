/* SPDX-License-Identifier: MIT */
/* describe: `connpool describe MANAGER`: the table of a manager's options, for people. */
#include <string.h>

#include "command.h"
#include "output.h"

#define TEXT_SIZE 256

enum column { NAME, TYPE, DEFAULT, LIMITS, PLACE, COLUMNS };

static const char *const headings[COLUMNS] = {"OPTION", "TYPE", "DEFAULT", "LIMITS", "STANDS AT"};

/* One row, as shown. */
struct row {
    char cells[COLUMNS][TEXT_SIZE];
};

static const char *const type_names[] = {
    [CONNPOOL_TYPE_STRING] = "text",     [CONNPOOL_TYPE_INTEGER] = "integer",  [CONNPOOL_TYPE_NUMBER] = "number",
    [CONNPOOL_TYPE_BOOLEAN] = "boolean", [CONNPOOL_TYPE_DURATION] = "seconds", [CONNPOOL_TYPE_SIZE] = "bytes",
    [CONNPOOL_TYPE_PATH] = "path",       [CONNPOOL_TYPE_CHOICE] = "choice",    [CONNPOOL_TYPE_LIST] = "list",
    [CONNPOOL_TYPE_SECRET] = "secret",   [CONNPOOL_TYPE_MAP] = "map",
};

static const char *type_name(uint32_t type)
{
    return type < sizeof(type_names) / sizeof(type_names[0]) && type_names[type] != NULL ? type_names[type] : "unknown";
}

static const char *default_text(const struct connpool_option *option)
{
    if ((option->flags & CONNPOOL_OPTION_REQUIRED) != 0) {
        return "required";
    }
    if (option->default_text != NULL) {
        return option->default_text;
    }
    switch (option->type) {
    case CONNPOOL_TYPE_INTEGER:
    case CONNPOOL_TYPE_NUMBER:
    case CONNPOOL_TYPE_DURATION:
    case CONNPOOL_TYPE_SIZE:
        return "0";
    case CONNPOOL_TYPE_BOOLEAN:
        return "false";
    case CONNPOOL_TYPE_CHOICE:
        return option->choices[0];
    default:
        return "none";
    }
}

static const char *place_name(uint32_t level)
{
    return level == CONNPOOL_LEVEL_POOL ? "pool" : level == CONNPOOL_LEVEL_ENDPOINT ? "endpoint" : "pool, endpoint";
}

static void list_names(const char *const *names, char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; names != NULL && names[i] != NULL && length < TEXT_SIZE; i++) {
        length += (size_t)snprintf(text + length, TEXT_SIZE - length, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
}

/* What minimum and maximum count: for text its bytes, for lists and maps their items. */
static const char *limits_unit(uint32_t type)
{
    switch (type) {
    case CONNPOOL_TYPE_STRING:
    case CONNPOOL_TYPE_PATH:
    case CONNPOOL_TYPE_SECRET:
        return "bytes: ";
    case CONNPOOL_TYPE_LIST:
    case CONNPOOL_TYPE_MAP:
        return "items: ";
    default:
        return "";
    }
}

static void describe_limits(const struct connpool_option *option, char *text)
{
    const char *minimum = option->minimum, *maximum = option->maximum, *unit = limits_unit(option->type);

    text[0] = '\0';
    if (option->type == CONNPOOL_TYPE_CHOICE) {
        list_names(option->choices, text);
    } else if (minimum != NULL && maximum != NULL) {
        (void)snprintf(text, TEXT_SIZE, "%s%s to %s", unit, minimum, maximum);
    } else if (minimum != NULL) {
        (void)snprintf(text, TEXT_SIZE, "%s%s or more", unit, minimum);
    } else if (maximum != NULL) {
        (void)snprintf(text, TEXT_SIZE, "%s%s or less", unit, maximum);
    } else if (option->type == CONNPOOL_TYPE_MAP && option->choices != NULL && option->choices[0] != NULL) {
        (void)snprintf(text, TEXT_SIZE, "not ");
        list_names(option->choices, text);
    } else {
        (void)snprintf(text, TEXT_SIZE, "-");
    }
}

static void describe_option(const struct connpool_option *option, struct row *row)
{
    (void)snprintf(row->cells[NAME], TEXT_SIZE, "%s", option->name);
    (void)snprintf(row->cells[TYPE], TEXT_SIZE, "%s", type_name(option->type));
    (void)snprintf(row->cells[DEFAULT], TEXT_SIZE, "%s", default_text(option));
    describe_limits(option, row->cells[LIMITS]);
    (void)snprintf(row->cells[PLACE], TEXT_SIZE, "%s", place_name(option->level));
}

static void measure(const struct connpool_manager *manager, int widths[COLUMNS])
{
    for (int column = 0; column < COLUMNS; column++) {
        widths[column] = output_width(headings[column]);
    }
    for (uint32_t i = 0; i < manager->option_count; i++) {
        struct row row;

        describe_option(&manager->options[i], &row);
        for (int column = 0; column < COLUMNS; column++) {
            int width = output_width(row.cells[column]);

            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
}

/* The last column is not padded. */
static void print_cells(const struct row *row, enum output_style style, const int widths[COLUMNS])
{
    for (int column = 0; column < COLUMNS - 1; column++) {
        output_column(column == NAME ? OUTPUT_STRONG : style, row->cells[column], widths[column] + 2);
    }
    output_styled(style, row->cells[COLUMNS - 1]);
    printf("\n");
}

static void print_options(const struct connpool_manager *manager)
{
    struct row row;
    int widths[COLUMNS];

    measure(manager, widths);
    for (int column = 0; column < COLUMNS; column++) {
        (void)snprintf(row.cells[column], TEXT_SIZE, "%s", headings[column]);
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

int describe_run(const struct arguments *arguments, char **operands, size_t count)
{
    const struct connpool_manager *manager;
    connpool_error error;

    (void)count;
    if (connpool_plugin_load(operands[0], arguments->folders, arguments->flags, &manager, &error) != CONNPOOL_OK) {
        output_complain("%s", error.text);
        return COMMAND_FAILED;
    }
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
    return COMMAND_OK;
}
