/* SPDX-License-Identifier: MIT */
/* setting: configurations of a subject, as JSON, and contexts opened from them, with all that they log. */
#ifndef CONFORM_SETTING_H
#define CONFORM_SETTING_H

#include <connpool/connpool.h>
#include <jansson.h>

#include "conform.h"

/* Milliseconds in which anything ends that does not hang. */
#define SETTING_PATIENCE_MS 15000

/* The subject's objects, new references. */
json_t *setting_options(const struct conform_subject *subject);
json_t *setting_endpoint(const struct conform_subject *subject);

/* A whole configuration: pool "subject", endpoint "server", with these objects (references are taken over; NULL: the
 * subject's) and the pool's keys (JSON text of an object, NULL: none). To be freed with free. */
char *setting_json(const struct conform_subject *subject, json_t *options, json_t *endpoint, const char *keys);

/* A context, and all text that it ever gave out. */
struct setting {
    connpool *context;
    connpool_pool *pool;
    connpool_error error; /* of the last setting_acquire */
    char *said;           /* its log and its errors; only grows; guarded by a lock of the file */
    size_t length;
};

/* Open a configuration of the subject, as for setting_json. Fails the case where it is refused. */
void setting_open(struct setting *setting, const struct conform_subject *subject, json_t *endpoint, const char *keys);
/* Close it; fails the case unless all is gone in time. */
void setting_close(struct setting *setting);
/* Check the configuration by the public API (connpool_check): the first mistake, "" for none; lives until the next
 * call. */
const char *setting_mistake(const struct conform_subject *subject, json_t *options, json_t *endpoint);

/* The subject's configuration as understood: text for connpool_text_free. */
char *setting_understood(const struct conform_subject *subject);

/* Acquire from "server" within so many milliseconds. */
connpool_status setting_acquire(struct setting *setting, int limit_ms, connpool_lease *lease);
/* The same; fails the case unless it succeeds. */
connpool_lease setting_must_acquire(struct setting *setting);
void setting_release(connpool_lease *lease);
/* How many connections ended and why, and what the log said last; lives until the next call. */
const char *setting_tale(const struct setting *setting);
struct connpool_statistics setting_statistics(const struct setting *setting);
struct connpool_lease_info setting_info(const connpool_lease *lease);

#endif
