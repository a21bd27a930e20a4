/* SPDX-License-Identifier: MIT */
/* policy: see policy.h. One table says all there is to know of a key; everything else walks it. */
#include "options/policy.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"

enum kind {
    BOOLEAN,  /* bool */
    COUNT,    /* uint64_t */
    DURATION, /* int64_t nanoseconds; in the JSON seconds */
    PART      /* double */
};

#define POOL_ONLY 1u /* an endpoint may not override it */
#define OR_NONE   2u /* where it is not given there is none: CP_NEVER or 0 */
#define COLLECTED 4u /* only with background_collector; else it may not be given, and says nothing */

struct key {
    const char *name;
    enum kind kind;
    unsigned flags;
    size_t offset;
    double minimum, maximum, standard; /* as in the JSON */
    const char *help;                  /* one sentence, no final stop, for people */
};

/* Sizes: more connections than a process has ports or descriptors for is a slip of the finger. Durations: 31 years, so
 * that sums stay far from the end of int64_t. The limits that an operation must have are at least a millisecond. */
#define MOST    1000000
#define LONGEST 1000000000
#define LEAST   0.001

#define MEMBER(name) offsetof(struct cp_policy, name)

static const struct key keys[] = {
    {"background_collector", BOOLEAN, POOL_ONLY, MEMBER(background_collector), 0, 1, 0,
     "a thread closes what is due; if false, what is due is closed on each release"},
    {"dispose_batch_size", COUNT, POOL_ONLY, MEMBER(dispose_batch_size), 0, MOST, 0,
     "most connections closed on one release; 0: by their number. Ignored with the collector"},
    {"idle_timeout", DURATION, 0, MEMBER(idle_timeout), 0, LONGEST, 60,
     "seconds unused after which an idle connection beyond min_idle is closed"},
    {"max_lifetime", DURATION, 0, MEMBER(max_lifetime), LEAST, LONGEST, 3600,
     "seconds after which any connection is closed, once it is not leased"},
    {"lifetime_jitter", PART, 0, MEMBER(lifetime_jitter), 0, 1, 0.1,
     "part of max_lifetime by which a life is shortened at random"},
    {"min_idle", COUNT, 0, MEMBER(min_idle), 0, MOST, 1, "idle connections each endpoint keeps"},
    {"max_size", COUNT, 0, MEMBER(max_size), 1, MOST, 10, "most connections of an endpoint"},
    {"total_max_size", COUNT, POOL_ONLY, MEMBER(total_max_size), 1, MOST, 100, "most connections of the pool"},
    {"max_endpoints", COUNT, POOL_ONLY, MEMBER(max_endpoints), 0, MOST, 10000, "most endpoints given at run time"},
    {"acquire_timeout", DURATION, OR_NONE, MEMBER(acquire_timeout), 0, LONGEST, 0,
     "seconds, an acquire's limit where the call gives none"},
    {"connect_timeout", DURATION, 0, MEMBER(connect_timeout), LEAST, LONGEST, 30,
     "seconds, the limit of one open, over all addresses of a name"},
    {"check_timeout", DURATION, 0, MEMBER(check_timeout), LEAST, LONGEST, 1,
     "seconds, the limit of a check; one that is cut is a dead connection"},
    {"reset_timeout", DURATION, 0, MEMBER(reset_timeout), LEAST, LONGEST, 5,
     "seconds, the limit of a reset; one that is cut is a dead connection"},
    {"dispose_timeout", DURATION, 0, MEMBER(dispose_timeout), LEAST, LONGEST, 5,
     "seconds, the limit of a polite close; then it is cut"},
    {"check_after", DURATION, 0, MEMBER(check_after), 0, LONGEST, 0.5,
     "seconds unused after which a connection is checked by a round trip before it is handed out; 0: always"},
    {"max_uses", COUNT, OR_NONE, MEMBER(max_uses), 1, LONGEST, 0, "leases after which a connection is closed"},
    {"max_waiters", COUNT, OR_NONE, MEMBER(max_waiters), 1, LONGEST, 0,
     "acquires that may wait at an endpoint; one more fails at once"},
    {"holddown", DURATION, 0, MEMBER(holddown), 0, LONGEST, 0,
     "seconds after a failed connect during which further ones to that endpoint fail at once"},
    {"retry", BOOLEAN, 0, MEMBER(retry), 0, 1, 0, "an acquire whose connect failed tries again until its time is up"},
    {"watch", BOOLEAN, COLLECTED, MEMBER(watch), 0, 1, 1,
     "idle connections that their peer closes are noticed and closed; only with background_collector, else refused"},
    {"prewarm", BOOLEAN, COLLECTED, MEMBER(prewarm), 0, 1, 0,
     "min_idle connections are opened ahead of use; only with background_collector, else refused"},
    {"leak_after", DURATION, OR_NONE, MEMBER(leak_after), LEAST, LONGEST, 0,
     "seconds; a lease that is held longer is reported once"},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct {
    const char *smaller, *larger;
} relations[] = {
    {"min_idle", "max_size"},
    {"max_size", "total_max_size"},
    {"idle_timeout", "max_lifetime"},
};

#define RELATIONS (sizeof(relations) / sizeof(relations[0]))

/* KEYS: no such key. */
static size_t find(const char *name)
{
    size_t i = 0;

    while (i < KEYS && strcmp(keys[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void store(struct cp_policy *policy, const struct key *key, double value)
{
    char *member = (char *)policy + key->offset;

    switch (key->kind) {
    case BOOLEAN:
        *(bool *)(void *)member = value > 0;
        break;
    case COUNT:
        *(uint64_t *)(void *)member = (uint64_t)value;
        break;
    case DURATION:
        *(int64_t *)(void *)member = cp_number_nanoseconds(value);
        break;
    case PART:
        *(double *)(void *)member = value;
        break;
    }
}

/* As in the JSON. */
static double load(const struct cp_policy *policy, const struct key *key)
{
    const char *member = (const char *)policy + key->offset;

    switch (key->kind) {
    case BOOLEAN:
        return *(const bool *)(const void *)member;
    case COUNT:
        return (double)*(const uint64_t *)(const void *)member;
    case DURATION:
        return (double)*(const int64_t *)(const void *)member / (double)CP_SECOND;
    case PART:
        return *(const double *)(const void *)member;
    default:
        return 0;
    }
}

static bool is_none(const struct cp_policy *policy, const struct key *key)
{
    return (key->flags & OR_NONE) != 0 &&
           (key->kind == COUNT ? load(policy, key) < 1 : load(policy, key) > (double)LONGEST);
}

void cp_policy_init(struct cp_policy *policy)
{
    memset(policy, 0, sizeof(*policy));
    for (size_t i = 0; i < KEYS; i++) {
        store(policy, &keys[i], keys[i].standard);
    }
    policy->acquire_timeout = CP_NEVER;
    policy->leak_after = CP_NEVER;
}

void cp_policy_reading_init(struct cp_policy_reading *reading)
{
    memset(reading, 0, sizeof(*reading));
    cp_policy_init(&reading->policy);
}

bool cp_policy_is_key(const char *name)
{
    return find(name) < KEYS;
}

const char *cp_policy_key_name(size_t index)
{
    return index < KEYS ? keys[index].name : NULL;
}

/* ---- Reading ---- */

static bool has_type(const struct key *key, const json_t *value)
{
    switch (key->kind) {
    case BOOLEAN:
        return json_is_boolean(value);
    case COUNT:
        return json_is_integer(value);
    default:
        return json_is_number(value);
    }
}

static void add_wrong(const struct key *key, const json_t *value, const char *path, struct cp_mistakes *mistakes)
{
    static const char *const nouns[] = {
        [BOOLEAN] = "true or false",
        [COUNT] = "an integer",
        [DURATION] = "a number of seconds",
        [PART] = "a number",
    };

    if (key->kind == BOOLEAN) {
        cp_mistakes_add(mistakes, path, "found %s, expected %s", cp_quote_json(value).text, nouns[BOOLEAN]);
    } else {
        cp_mistakes_add(mistakes, path, "found %s, expected %s from %s to %s", cp_quote_json(value).text,
                        nouns[key->kind], cp_quote_number(key->minimum).text, cp_quote_number(key->maximum).text);
    }
}

/* Whether the key may stand there at all; else the mistake. */
static bool belongs(const struct key *key, bool at_endpoint, const char *path, struct cp_mistakes *mistakes)
{
    if (at_endpoint && (key->flags & POOL_ONLY) != 0) {
        cp_mistakes_add(mistakes, path, "found a key of the whole pool, expected it under the pool only");
        return false;
    }
    return true;
}

void cp_policy_read(struct cp_policy_reading *reading, const char *name, const json_t *value, bool at_endpoint,
                    const char *base, struct cp_mistakes *mistakes)
{
    size_t index = find(name);
    const struct key *key = &keys[index];
    struct cp_path path = cp_path_join(base, name);
    uint64_t bit = UINT64_C(1) << index;
    double number;

    reading->given |= bit;
    reading->ever |= bit;
    if (!belongs(key, at_endpoint, path.text, mistakes)) {
        reading->wrong |= bit;
        return;
    }
    number = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    if (!has_type(key, value) || !(number >= key->minimum && number <= key->maximum)) {
        reading->wrong |= bit;
        add_wrong(key, value, path.text, mistakes);
        return;
    }
    reading->wrong &= ~bit;
    store(&reading->policy, key, number + 0.0);
}

void cp_policy_descend(struct cp_policy_reading *reading)
{
    reading->given = 0;
}

/* Keys that say what the collector is to do, where there is none. */
static void check_collected(const struct cp_policy_reading *reading, const char *base, struct cp_mistakes *mistakes)
{
    bool is_missed = !reading->policy.background_collector && (reading->wrong >> find("background_collector") & 1) == 0;

    for (size_t i = 0; i < KEYS && is_missed; i++) {
        if ((keys[i].flags & COLLECTED) != 0 && (reading->given >> i & 1) != 0) {
            cp_mistakes_add(mistakes, cp_path_join(base, keys[i].name).text,
                            "found a key for the collector, expected it to be left out, or background_collector true");
        }
    }
}

void cp_policy_check(const struct cp_policy_reading *reading, bool at_endpoint, const char *base,
                     struct cp_mistakes *mistakes)
{
    check_collected(reading, base, mistakes);
    for (size_t i = 0; i < RELATIONS; i++) {
        size_t small = find(relations[i].smaller), large = find(relations[i].larger);
        uint64_t both = UINT64_C(1) << small | UINT64_C(1) << large;
        double smaller = load(&reading->policy, &keys[small]), larger = load(&reading->policy, &keys[large]);

        if ((reading->wrong & both) != 0 || (at_endpoint && (reading->given & both) == 0) || smaller <= larger) {
            continue;
        }
        cp_mistakes_add(mistakes, base, "found %s %s%s above %s %s%s, expected %s <= %s", keys[small].name,
                        cp_quote_number(smaller).text, (reading->ever >> small & 1) != 0 ? "" : " (the default)",
                        keys[large].name, cp_quote_number(larger).text,
                        (reading->ever >> large & 1) != 0 ? "" : " (the default)", keys[small].name, keys[large].name);
    }
}

/* ---- Describing ---- */

bool cp_policy_describe(const struct cp_policy *policy, bool at_endpoint, json_t *object)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = &keys[i];
        double value = load(policy, key);
        bool is_shown = !is_none(policy, key) && !(at_endpoint && (key->flags & POOL_ONLY) != 0) &&
                        !(!policy->background_collector && (key->flags & COLLECTED) != 0);

        if (is_shown &&
            json_object_set_new(object, key->name,
                                key->kind == BOOLEAN ? json_boolean(value > 0) : cp_number_json(value)) != 0) {
            return false;
        }
    }
    return true;
}

/* NULL: no memory. */
static json_t *key_schema(const struct key *key)
{
    json_t *schema;

    if (key->kind == BOOLEAN) {
        return json_pack("{s:s,s:s,s:b}", "type", "boolean", "description", key->help, "default", key->standard > 0);
    }
    schema = json_pack("{s:s,s:s,s:o,s:o}", "type", key->kind == COUNT ? "integer" : "number", "description", key->help,
                       "minimum", cp_number_json(key->minimum), "maximum", cp_number_json(key->maximum));
    if (schema != NULL && (key->flags & OR_NONE) == 0 &&
        json_object_set_new(schema, "default", cp_number_json(key->standard)) != 0) {
        json_decref(schema);
        return NULL;
    }
    return schema;
}

bool cp_policy_schema(bool at_endpoint, json_t *properties)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (!(at_endpoint && (keys[i].flags & POOL_ONLY) != 0) &&
            json_object_set_new(properties, keys[i].name, key_schema(&keys[i])) != 0) {
            return false;
        }
    }
    return true;
}
