/* SPDX-License-Identifier: MIT */
/* postgres_hosts: see postgres_hosts.h. */
#include "postgres_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "../common/fault.h"
#include "../common/host_port.h"
#include "postgres.h"

#define SOCKET_NAME "/.s.PGSQL.65535" /* what libpq puts behind the folder, at its longest */

static int32_t check_path(const char *path, struct connpool_fault *fault)
{
    if (strlen(path) + sizeof(SOCKET_NAME) > sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "the folder of a Unix socket is too long: %zu characters, at most %zu", strlen(path),
                          sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof(SOCKET_NAME));
    }
    return 0;
}

/* Where a name and a port given together are put. */
struct pair {
    struct postgres_host *entry;
};

static int32_t set_pair(void *context, const char *option, const char *start, size_t length,
                        struct connpool_fault *fault)
{
    struct postgres_host *entry = ((struct pair *)context)->entry;
    char port[8];

    if (strcmp(option, "host") == 0) {
        (void)snprintf(entry->name, sizeof(entry->name), "%.*s", (int)length, start);
        return 0;
    }
    (void)snprintf(port, sizeof(port), "%.*s", (int)length, start);
    entry->port = (uint32_t)strtoul(port, NULL, 10);
    if (entry->port < 1 || entry->port > 65535) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "the port is not a number from 1 to 65535");
    }
    return 0;
}

static bool has_port(const char *text)
{
    const char *colon = strchr(text, ':');

    return text[0] == '[' || (colon != NULL && strchr(colon + 1, ':') == NULL);
}

int32_t postgres_hosts_entry(const struct postgres_options *options, const char **next, struct postgres_host *entry,
                             struct connpool_fault *fault)
{
    size_t length = strcspn(*next, ",");
    struct pair pair = {entry};
    char text[sizeof(entry->name)];

    *entry = (struct postgres_host){.is_path = **next == '/' || **next == '@', .port = (uint32_t)options->port};
    if (length >= sizeof(text)) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "a host is longer than %zu characters",
                          sizeof(text) - 1);
    }
    memcpy(text, *next, length);
    text[length] = '\0';
    *next = (*next)[length] == ',' ? *next + length + 1 : NULL;
    if (!entry->is_path && has_port(text)) {
        return host_port_parse(text, set_pair, &pair, fault);
    }
    memcpy(entry->name, text, sizeof(text));
    return entry->is_path ? check_path(text, fault) : host_port_check_host(text, length, fault);
}

static void add(struct postgres_hosts *hosts, const struct postgres_host *entry, const char *address)
{
    const char *comma = hosts->has_any ? "," : "";

    appendPQExpBuffer(&hosts->names, "%s%s", comma, entry->name);
    appendPQExpBuffer(&hosts->addresses, "%s%s", comma, address);
    appendPQExpBuffer(&hosts->ports, "%s%u", comma, entry->port);
    hosts->has_any = true;
}

static void add_all(struct postgres_hosts *hosts, const struct postgres_host *entry, const struct connpool_host *host)
{
    const char *address;

    for (uint32_t i = 0; (address = host->resolve_take(hosts->resolve, i)) != NULL; i++) {
        add(hosts, entry, address);
    }
}

/* The entry at *next: DONE, AGAIN, or why not. */
static int32_t resolve(struct postgres_hosts *hosts, const struct connpool_head *head, const char **next,
                       struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct postgres_options *options = head->options;
    struct postgres_host entry;
    int32_t result = postgres_hosts_entry(options, next, &entry, fault);

    if (result != 0) {
        return result;
    }
    if (entry.is_path) {
        add(hosts, &entry, "");
        return CONNPOOL_STEP_DONE;
    }
    if (hosts->resolve == NULL) {
        hosts->resolve =
            head->host->resolve_start(head->host, entry.name, dial_options_family(&options->socket), fault);
        if (hosts->resolve == NULL) {
            return -fault->error_class;
        }
    }
    result = head->host->resolve_step(hosts->resolve, wait, fault);
    if (result == CONNPOOL_STEP_AGAIN) {
        return result;
    }
    if (result == CONNPOOL_STEP_DONE) {
        add_all(hosts, &entry, head->host);
    }
    head->host->resolve_stop(hosts->resolve);
    hosts->resolve = NULL;
    return result;
}

static void start(struct postgres_hosts *hosts, const struct postgres_options *options)
{
    hosts->next = options->host;
    initPQExpBuffer(&hosts->names);
    initPQExpBuffer(&hosts->addresses);
    initPQExpBuffer(&hosts->ports);
    hosts->is_started = true;
}

int32_t postgres_hosts_step(struct postgres_hosts *hosts, const struct connpool_head *head, struct connpool_wait *wait,
                            struct connpool_fault *fault)
{
    if (!hosts->is_started) {
        start(hosts, head->options);
    }
    while (hosts->next != NULL) {
        struct connpool_fault failed = {.size = sizeof(failed)};
        const char *next = hosts->next;
        int32_t result = resolve(hosts, head, &next, wait, &failed);

        if (result == CONNPOOL_STEP_AGAIN) {
            return result;
        }
        if (result < 0 && hosts->first.error_class == 0) {
            hosts->first = failed;
        }
        hosts->next = next;
    }
    /* libpq would take an empty list for its own default, a server of this machine. */
    if (PQExpBufferBroken(&hosts->names) || PQExpBufferBroken(&hosts->addresses) || PQExpBufferBroken(&hosts->ports)) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory for the list of servers");
    }
    if (!hosts->has_any) {
        return fault_fill(fault, hosts->first.error_class, hosts->first.os_error, "%s", hosts->first.text);
    }
    return CONNPOOL_STEP_DONE;
}

void postgres_hosts_fini(struct postgres_hosts *hosts, const struct connpool_host *host)
{
    host->resolve_stop(hosts->resolve);
    hosts->resolve = NULL;
    if (hosts->is_started) {
        termPQExpBuffer(&hosts->names);
        termPQExpBuffer(&hosts->addresses);
        termPQExpBuffer(&hosts->ports);
        hosts->is_started = false;
    }
}
