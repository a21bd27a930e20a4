/* SPDX-License-Identifier: MIT */
/* cases_table: what a manager's table must say before anything is opened. The loader's own checks come first. */
#include <ctype.h>
#include <string.h>

#include "cases.h"
#include "options/option_row.h"
#include "options/option_type.h"
#include "stage.h"

static void one_line(const char *what, const char *text)
{
    CONFORM(text != NULL && text[0] != '\0', "%s: expected text, found none", what);
    CONFORM(strpbrk(text, "\r\n\t") == NULL, "%s: expected one line, found \"%s\"", what, text);
}

void case_table(const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);

    CONFORM(strcmp(manager->name, subject->manager) == 0, "name: expected \"%s\", found \"%s\"", subject->manager,
            manager->name);
    one_line("summary", manager->summary);
    CONFORM(manager->summary[strlen(manager->summary) - 1] != '.', "summary: ends with a full stop");
    one_line("version", manager->version);
    CONFORM(isdigit((unsigned char)manager->version[0]), "version: expected a number, found \"%s\"", manager->version);
    CONFORM(manager->connection_size >= sizeof(struct connpool_head), "connection_size: no room for a head");
    CONFORM(manager->get_extension("nothing.of.the.kind/1") == NULL, "get_extension: knows an extension that is none");
}

/* A default, a minimum and a maximum must be values that the row takes. */
static void row_takes(const struct connpool_option *row, const char *member, const char *text)
{
    const struct cp_option_source source = {.folder = "/"};
    struct cp_option_reader reader = {.row = row, .source = &source};
    union cp_option_value value = {0};
    long double limit;

    if (text == NULL) {
        return;
    }
    if (strcmp(member, "default") != 0) {
        CONFORM(cp_option_limit(row, text, &limit), "option %s: its %s \"%s\" is no value", row->name, member, text);
    } else {
        CONFORM(cp_option_read_text(&reader, text, &value), "option %s: its default: %s", row->name,
                reader.complaint.text);
        cp_option_type(row->type)->free(&value);
    }
}

void case_rows(const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);
    connpool_error error = {.text = ""};

    CONFORM(cp_options_check_rows(manager, &error), "%s", error.text);
    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        CONFORM(row->help != NULL && strlen(row->help) >= 8, "option %s: its help says nothing", row->name);
        CONFORM(row->help[strlen(row->help) - 1] != '.', "option %s: its help ends with a full stop", row->name);
        one_line(row->name, row->help);
        CONFORM(row->type != CONNPOOL_TYPE_SECRET || row->default_text == NULL, "option %s: a secret with a default",
                row->name);
        row_takes(row, "default", row->default_text);
        row_takes(row, "minimum", row->minimum);
        row_takes(row, "maximum", row->maximum);
    }
}

static int32_t take_anything(void *context, const char *option, const char *start, size_t length,
                             struct connpool_fault *fault)
{
    const void *nul = start == NULL ? NULL : memchr(start, '\0', length); /* all of it can be read */

    (void)context;
    (void)fault;
    CONFORM(option != NULL && start != NULL, "set was called without an option or a value");
    CONFORM(nul == NULL, "set was given more of option %s than the text has", option);
    return 0;
}

/* Text that a person or a program may give by mistake: any answer but a crash, and a fault that says something. */
void case_parse_endpoint(const struct conform_subject *subject)
{
    static const char *const texts[] = {
        "",        " ",   ":",        "::",    ":::::::::",   "[",
        "]",       "[]",  "[]:",      "[::1",  "[::1]",       "[::1]:",
        "[::1]:x", "x:",  ":1",       "x:-1",  "x:0",         "x:99999999999999999999999",
        "@",       "a@",  "@b",       "a@b",   "a:b@c:d@e",   "/",
        "//",      "x?",  "x?y",      "x?y=",  "=",           "%",
        "%00",     "%zz", "\xff\xfe", "\n",    "x\ny",        "'",
        "\"",      "\\",  "host=x",   "unix:", "postgres://", "ssh://u@h:1/",
        "!",
    };
    const struct connpool_manager *manager = stage_manager(subject);
    static char longest[100001];

    if (manager->parse_endpoint == NULL) {
        conform_skip("the manager takes no endpoints at run time");
    }
    memset(longest, 'x', sizeof(longest) - 1);
    for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
        const char *text = i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : longest;
        struct connpool_fault fault = {.size = sizeof(fault)};
        int32_t result;

        conform_at("parse_endpoint of \"%.40s\"", text);
        result = manager->parse_endpoint(text, take_anything, NULL, &fault);
        CONFORM(result <= 0 && result >= -CONNPOOL_ERROR_INTERNAL, "answered %d, which means nothing", result);
        CONFORM(result == 0 || (fault.error_class == -result && fault.text[0] != '\0'), "refused without a fault");
        CONFORM(result == 0 || strnlen(fault.text, sizeof(fault.text)) < sizeof(fault.text), "the fault has no end");
    }
}
