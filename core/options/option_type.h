/* SPDX-License-Identifier: MIT */
/*
 * option_type: what can be done with a value of each type of option, in one table. All that is done with options
 * (reading, comparing, hashing, showing, freeing) goes through it, so that no row and no type can be forgotten.
 */
#ifndef CP_OPTION_TYPE_H
#define CP_OPTION_TYPE_H

#include <connpool/manager.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/complaint.h"
#include "options/secret.h"

/* Any value, laid out as the plugin finds it in its struct. */
union cp_option_value {
    const char *text;
    int64_t integer;
    double number;
    int32_t index; /* booleans and choices */
    struct connpool_list list;
    struct connpool_map map;
};

/* What a value is read for, and why it was not taken. */
struct cp_option_reader {
    const struct connpool_option *row;
    const struct cp_option_source *source;
    struct cp_complaint complaint;
};

struct cp_option_type {
    const char *name;    /* "an integer", as in "expected an integer" */
    const char *counted; /* what minimum and maximum count, "" for the value itself; NULL: they are not allowed */
    size_t size;         /* of the member in the plugin's struct */
    size_t alignment;    /* of that member */
    bool takes_text;     /* from_text may be used for what is given at run time */
    /* Read a value, not yet held against minimum and maximum, into *value, which is zeroed before. On success the
     * memory that it holds is the caller's; false: the reader's complaint, nothing is held. */
    bool (*from_json)(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value);
    bool (*from_text)(struct cp_option_reader *reader, const char *text, union cp_option_value *value);
    /* What minimum and maximum are held against; NULL where they are not allowed. Long, so that each int64_t has its
     * own. */
    long double (*measure)(const union cp_option_value *value);
    bool (*equal)(const union cp_option_value *a, const union cp_option_value *b);
    uint64_t (*hash)(const union cp_option_value *value);
    /* For people and for cp_options_redacted, new reference; NULL: no memory. Not called for what is absent. */
    json_t *(*show)(const struct connpool_option *row, const union cp_option_value *value);
    bool (*is_absent)(const union cp_option_value *value);
    void (*free)(union cp_option_value *value);
};

/* The types. */
extern const struct cp_option_type cp_option_string;
extern const struct cp_option_type cp_option_integer;
extern const struct cp_option_type cp_option_number;
extern const struct cp_option_type cp_option_boolean;
extern const struct cp_option_type cp_option_duration;
extern const struct cp_option_type cp_option_size;
extern const struct cp_option_type cp_option_path;
extern const struct cp_option_type cp_option_choice;
extern const struct cp_option_type cp_option_list;
extern const struct cp_option_type cp_option_secret;
extern const struct cp_option_type cp_option_map;

/* NULL: no such type. */
const struct cp_option_type *cp_option_type(uint32_t type);

/* "found …, expected …", with what the row takes; return false. */
bool cp_option_complain(struct cp_option_reader *reader, const char *found);
bool cp_option_complain_json(struct cp_option_reader *reader, const json_t *json);
bool cp_option_complain_text(struct cp_option_reader *reader, const char *text);
/* Whether text may go into a protocol or a name: a line end or a NUL in it could begin something else there. False: the
 * reader's complaint. */
bool cp_option_is_clean(struct cp_option_reader *reader, const char *text);
/* False: the complaint: no memory. */
bool cp_option_copy_text(struct cp_option_reader *reader, const char *text, const char **copy);
/* NULL equals NULL. */
bool cp_option_text_equal(const char *a, const char *b);
uint64_t cp_option_text_hash(const char *text);

/* Read and hold against the row's limits. False: the reader's complaint. */
bool cp_option_read_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value);
bool cp_option_read_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value);

/* The value that a minimum or maximum text stands for, in what the type counts; false: it stands for none. */
bool cp_option_limit(const struct connpool_option *row, const char *text, long double *limit);

/* What a row takes, for messages: "an integer from 1 to 65535". */
struct cp_expected {
    char text[240];
};
struct cp_expected cp_option_expected(const struct connpool_option *row);

#endif
