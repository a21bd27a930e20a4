/* SPDX-License-Identifier: MIT */
/*
 * resolve: see resolve.h.
 *
 * A lookup is what a thread does: one name, one family. Who asks for it holds a connpool_resolve, in the lookup's list.
 * A lookup is first held, until one who asks for it is below its share of the threads; then it counts for that endpoint
 * and is given to the threads; then it is complete, and nobody new can find it. getaddrinfo cannot be cancelled: a
 * lookup whose askers have all left goes on, may be joined again, and else its result is dropped.
 */
#include "network/resolve.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/memory.h"
#include "engine/token.h"
#include "network/services.h"

/* Longest name in text form, with the final dot (RFC 1035, section 2.3.4). */
#define NAME_LENGTH 254

enum lookup_state { LOOKUP_HELD, LOOKUP_SUBMITTED, LOOKUP_COMPLETE };

struct cp_lookup {
    struct cp_work work; /* first */
    RB_ENTRY(cp_lookup) tree;
    TAILQ_ENTRY(cp_lookup) held;
    struct cp_services *services;
    struct cp_host *owner;                  /* submitted: for whom it counts; NULL: for nobody */
    TAILQ_HEAD(, connpool_resolve) waiting; /* askers to wake */
    unsigned references;                    /* askers, and the threads' from submission to completion */
    enum lookup_state state;
    int family;
    struct cp_addresses *addresses; /* complete: the result, or NULL and the fault */
    struct connpool_fault fault;
    char name[];
};

struct connpool_resolve {
    struct cp_host *host;
    struct cp_addresses *addresses; /* a reference; NULL before DONE */
    struct cp_lookup *lookup;       /* a reference; NULL for a numeric name */
    TAILQ_ENTRY(connpool_resolve) link;
    bool waiting;   /* in the lookup's list */
    uint64_t token; /* of the step that waits, 0: none yet */
};

int (*cp_resolve_getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = getaddrinfo;
void (*cp_resolve_freeaddrinfo)(struct addrinfo *) = freeaddrinfo;

static int compare(const struct cp_lookup *a, const struct cp_lookup *b)
{
    return a->family != b->family ? a->family - b->family : strcasecmp(a->name, b->name);
}

RB_GENERATE_INTERNAL(cp_lookup_tree, cp_lookup, tree, compare, static __attribute__((unused)))

void cp_lookups_init(struct cp_lookups *lookups, struct cp_workers *resolvers, unsigned most)
{
    (void)pthread_mutex_init(&lookups->lock, NULL);
    lookups->resolvers = resolvers;
    lookups->share = most >= 4 ? most / 4 : 1;
    RB_INIT(&lookups->unfinished);
    TAILQ_INIT(&lookups->held);
}

void cp_lookups_fini(struct cp_lookups *lookups)
{
    (void)pthread_mutex_destroy(&lookups->lock);
}

/* ---- The lookup, on a thread */

/* localhost and all below it are the loopback addresses (RFC 6761, section 6.3), which AI_ADDRCONFIG does not count as
 * configured. */
static bool is_loopback_name(const char *name)
{
    static const char suffix[] = "localhost";
    size_t length = strlen(name);
    size_t tail = sizeof(suffix) - 1;

    length -= length > 0 && name[length - 1] == '.';
    return length >= tail && strncasecmp(name + length - tail, suffix, tail) == 0 &&
           (length == tail || name[length - tail - 1] == '.');
}

static int32_t class_of(int code, int os_error)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return CONNPOOL_ERROR_UNREACHABLE;
    case EAI_AGAIN:
    case EAI_FAIL:
        return CONNPOOL_ERROR_TRANSIENT;
    case EAI_MEMORY:
        return CONNPOOL_ERROR_RESOURCE_LOCAL;
    case EAI_SYSTEM:
        return cp_error_class_of_errno(os_error);
    default:
        return CONNPOOL_ERROR_CONFIGURATION;
    }
}

static const char *family_text(int family)
{
    return family == AF_INET ? "IPv4 " : family == AF_INET6 ? "IPv6 " : "";
}

static void set_fault(struct cp_lookup *lookup, int code, int os_error)
{
    (void)cp_fault_set(&lookup->fault, class_of(code, os_error), code == EAI_SYSTEM ? os_error : 0,
                       "cannot resolve '%s' to an %saddress: %s", lookup->name, family_text(lookup->family),
                       code == EAI_SYSTEM ? strerrordesc_np(os_error) : gai_strerror(code));
    lookup->fault.library_code = code;
    lookup->fault.scope = CONNPOOL_SCOPE_ENDPOINT;
}

/* May block for as long as the resolver likes; nobody else looks at the result yet. */
static void resolve_name(struct cp_lookup *lookup)
{
    struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int code;

    if (lookup->family == AF_UNSPEC && !is_loopback_name(lookup->name)) {
        hints.ai_flags = AI_ADDRCONFIG;
    }
    code = cp_resolve_getaddrinfo(lookup->name, NULL, &hints, &list);
    if (code != 0) {
        set_fault(lookup, code, errno);
        return;
    }
    lookup->addresses = cp_addresses_from_list(list);
    cp_resolve_freeaddrinfo(list);
    if (lookup->addresses == NULL) {
        set_fault(lookup, EAI_MEMORY, 0);
    } else if (lookup->addresses->count == 0) {
        cp_addresses_unref(lookup->addresses);
        lookup->addresses = NULL;
        set_fault(lookup, EAI_NODATA, 0);
    }
}

/* ---- The line. All under the lock. */

static void run(struct cp_work *work);

static struct cp_lookup *lookup_new(struct cp_services *services, const char *name, int family)
{
    size_t size = strlen(name) + 1;
    struct cp_lookup *lookup = cp_alloc(sizeof(*lookup) + size);

    if (lookup == NULL) {
        return NULL;
    }
    lookup->work.run = run;
    lookup->services = services;
    lookup->family = family;
    lookup->state = LOOKUP_HELD;
    TAILQ_INIT(&lookup->waiting);
    cp_fault_init(&lookup->fault);
    memcpy(lookup->name, name, size);
    return lookup;
}

static struct cp_lookup *find(struct cp_lookups *lookups, const char *name, int family)
{
    struct cp_lookup *lookup = RB_ROOT(&lookups->unfinished);

    while (lookup != NULL) {
        int order = family != lookup->family ? family - lookup->family : strcasecmp(name, lookup->name);

        if (order == 0) {
            return lookup;
        }
        lookup = order < 0 ? RB_LEFT(lookup, tree) : RB_RIGHT(lookup, tree);
    }
    return NULL;
}

/* Give a held lookup to the threads, at the expense of host. False: host has its share under way, or no thread could be
 * made and there is none. */
static bool submit(struct cp_lookups *lookups, struct cp_lookup *lookup, struct cp_host *host)
{
    if (host->lookups >= lookups->share || !cp_workers_submit(lookups->resolvers, &lookup->work)) {
        return false;
    }
    TAILQ_REMOVE(&lookups->held, lookup, held);
    lookup->state = LOOKUP_SUBMITTED;
    lookup->owner = host;
    lookup->references++;
    host->lookups++;
    (void)cp_services_ref(lookup->services);
    return true;
}

/* A place became free at host: the oldest held lookup that it waits for takes it. A failure needs no answer: a thread
 * was there a moment ago. */
static void submit_next(struct cp_lookups *lookups, struct cp_host *host)
{
    struct connpool_resolve *asker;
    struct cp_lookup *lookup;

    TAILQ_FOREACH (lookup, &lookups->held, held) {
        TAILQ_FOREACH (asker, &lookup->waiting, link) {
            if (asker->host == host) {
                (void)submit(lookups, lookup, host);
                return;
            }
        }
    }
}

/* A submitted lookup leaves the threads. */
static void give_place_back(struct cp_lookups *lookups, struct cp_lookup *lookup)
{
    struct cp_host *owner = lookup->owner;

    RB_REMOVE(cp_lookup_tree, &lookups->unfinished, lookup);
    lookup->owner = NULL;
    lookup->state = LOOKUP_COMPLETE;
    lookup->references--;
    if (owner != NULL) {
        owner->lookups--;
        submit_next(lookups, owner);
    }
}

static void lookup_free(struct cp_lookup *lookup)
{
    cp_addresses_unref(lookup->addresses);
    cp_free(lookup);
}

void cp_lookups_forget(struct cp_lookups *lookups, const struct cp_host *host)
{
    struct cp_lookup *lookup;

    (void)pthread_mutex_lock(&lookups->lock);
    RB_FOREACH (lookup, cp_lookup_tree, &lookups->unfinished) {
        if (lookup->owner == host) {
            lookup->owner = NULL;
        }
    }
    (void)pthread_mutex_unlock(&lookups->lock);
}

/* Wake all who wait, each outside the lock: the lookup is kept by a reference meanwhile. */
static void wake_askers(struct cp_lookups *lookups, struct cp_lookup *lookup)
{
    struct connpool_resolve *asker;

    while ((asker = TAILQ_FIRST(&lookup->waiting)) != NULL) {
        uint64_t token = asker->token;

        TAILQ_REMOVE(&lookup->waiting, asker, link);
        asker->waiting = false;
        if (token != 0) {
            (void)pthread_mutex_unlock(&lookups->lock);
            cp_token_wake(token);
            (void)pthread_mutex_lock(&lookups->lock);
        }
    }
}

static void run(struct cp_work *work)
{
    struct cp_lookup *lookup = (struct cp_lookup *)work;
    struct cp_services *services = lookup->services;
    struct cp_lookups *lookups = &services->lookups;
    bool last;

    resolve_name(lookup);
    (void)pthread_mutex_lock(&lookups->lock);
    lookup->references++;
    give_place_back(lookups, lookup);
    wake_askers(lookups, lookup);
    lookup->references--;
    last = lookup->references == 0;
    (void)pthread_mutex_unlock(&lookups->lock);
    if (last) {
        lookup_free(lookup);
    }
    cp_services_unref(services);
}

/* ---- Who asks */

static bool check_name(const char *name, struct connpool_fault *fault)
{
    size_t length = name != NULL ? strlen(name) : 0;

    if (length == 0 || length > NAME_LENGTH) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                           "host has %zu characters, expected a name of 1 to %d characters or a numeric address",
                           length, NAME_LENGTH);
        return false;
    }
    if (name[0] == '[') {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                           "host '%.100s': expected an IPv6 address without its brackets", name);
        return false;
    }
    for (const char *at = name; *at != '\0'; at++) {
        if (isspace((unsigned char)*at) || iscntrl((unsigned char)*at) || *at == '/') {
            (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                               "host: character %zu (code %d) cannot be in a name or a numeric address",
                               (size_t)(at - name) + 1, (unsigned char)*at);
            return false;
        }
    }
    return true;
}

/* What has a colon and is not numeric is no name either: it never goes to a resolver. */
static bool check_not_ipv6(const char *name, struct connpool_fault *fault)
{
    if (strchr(name, ':') == NULL) {
        return true;
    }
    if (strchr(name, '%') != NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_UNREACHABLE, ENODEV,
                           "host '%.100s': no such IPv6 address, or no interface of this machine has that scope", name);
    } else {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "host '%.100s': not an IPv6 address, and no name",
                           name);
    }
    return false;
}

static bool read_family(uint32_t flags, int *family, struct connpool_fault *fault)
{
    switch (flags & (CONNPOOL_DIAL_IPV4 | CONNPOOL_DIAL_IPV6)) {
    case 0:
        *family = AF_UNSPEC;
        return true;
    case CONNPOOL_DIAL_IPV4:
        *family = AF_INET;
        return true;
    case CONNPOOL_DIAL_IPV6:
        *family = AF_INET6;
        return true;
    default:
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                           "only IPv4 and only IPv6 addresses are asked for at once, expected at most one of them");
        return false;
    }
}

/* False: the fault says why. */
static bool start_numeric(struct connpool_resolve *resolve, const char *name, const struct cp_address *address,
                          int family, struct connpool_fault *fault)
{
    if (family != AF_UNSPEC && family != address->socket.any.sa_family) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "host '%.100s': expected an %saddress", name,
                           family_text(family));
        return false;
    }
    resolve->addresses = cp_addresses_from_one(address);
    if (resolve->addresses == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "resolve: out of memory");
        return false;
    }
    return true;
}

/* Under the lock: leave the lookup. True: it is to be freed, once unlocked, and so is the reference that the threads
 * had if *withdrawn. */
static bool leave(struct cp_lookups *lookups, struct connpool_resolve *resolve, bool *withdrawn)
{
    struct cp_lookup *lookup = resolve->lookup;

    if (resolve->waiting) {
        TAILQ_REMOVE(&lookup->waiting, resolve, link);
        resolve->waiting = false;
    }
    lookup->references--;
    if (lookup->state == LOOKUP_HELD && lookup->references == 0) {
        RB_REMOVE(cp_lookup_tree, &lookups->unfinished, lookup);
        TAILQ_REMOVE(&lookups->held, lookup, held);
    } else if (lookup->state == LOOKUP_SUBMITTED && lookup->references == 1 &&
               cp_workers_cancel(lookups->resolvers, &lookup->work)) {
        *withdrawn = true;
        give_place_back(lookups, lookup);
    }
    return lookup->references == 0;
}

static void leave_lookup(struct connpool_resolve *resolve)
{
    struct cp_services *services = resolve->host->services;
    struct cp_lookup *lookup = resolve->lookup;
    bool withdrawn = false;
    bool last;

    (void)pthread_mutex_lock(&services->lookups.lock);
    last = leave(&services->lookups, resolve, &withdrawn);
    (void)pthread_mutex_unlock(&services->lookups.lock);
    if (last) {
        lookup_free(lookup);
    }
    if (withdrawn) {
        cp_services_unref(services);
    }
}

/* Under the lock: the lookup of that name, made if there is none; NULL: no memory. */
static struct cp_lookup *join(struct cp_services *services, struct connpool_resolve *resolve, const char *name,
                              int family)
{
    struct cp_lookups *lookups = &services->lookups;
    struct cp_lookup *lookup = find(lookups, name, family);

    if (lookup == NULL) {
        lookup = lookup_new(services, name, family);
        if (lookup == NULL) {
            return NULL;
        }
        (void)RB_INSERT(cp_lookup_tree, &lookups->unfinished, lookup);
        TAILQ_INSERT_TAIL(&lookups->held, lookup, held);
    }
    TAILQ_INSERT_TAIL(&lookup->waiting, resolve, link);
    resolve->waiting = true;
    resolve->lookup = lookup;
    lookup->references++;
    return lookup;
}

/* False: the fault says why. */
static bool start_lookup(struct connpool_resolve *resolve, const char *name, int family, struct connpool_fault *fault)
{
    struct cp_services *services = resolve->host->services;
    struct cp_lookups *lookups = &services->lookups;
    struct cp_lookup *lookup;
    bool under_way = false;

    (void)pthread_mutex_lock(&lookups->lock);
    lookup = join(services, resolve, name, family);
    if (lookup != NULL) {
        under_way = lookup->state != LOOKUP_HELD || submit(lookups, lookup, resolve->host) ||
                    resolve->host->lookups >= lookups->share;
    }
    (void)pthread_mutex_unlock(&lookups->lock);
    if (lookup == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "resolve: out of memory");
    } else if (!under_way) {
        leave_lookup(resolve);
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, EAGAIN,
                           "cannot resolve '%s': no resolver thread could be started, and none is running", name);
    }
    return under_way;
}

struct connpool_resolve *cp_resolve_start(const struct connpool_host *host, const char *name, uint32_t flags,
                                          struct connpool_fault *fault)
{
    struct connpool_resolve *resolve;
    struct cp_address address;
    bool started;
    int family;

    if (cp_host_of(host)->services == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_UNSUPPORTED, 0, "load has no resolver: resolve from a step function");
        return NULL;
    }
    if (!check_name(name, fault) || !read_family(flags, &family, fault)) {
        return NULL;
    }
    resolve = cp_alloc(sizeof(*resolve));
    if (resolve == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "resolve: out of memory");
        return NULL;
    }
    resolve->host = cp_host_of(host);
    if (cp_address_read(&address, name)) {
        started = start_numeric(resolve, name, &address, family, fault);
    } else {
        started = check_not_ipv6(name, fault) && start_lookup(resolve, name, family, fault);
    }
    if (!started) {
        cp_free(resolve);
        return NULL;
    }
    return resolve;
}

int32_t cp_resolve_step(struct connpool_resolve *resolve, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct cp_lookup *lookup = resolve->lookup;
    struct cp_lookups *lookups = &resolve->host->services->lookups;
    bool complete;

    if (resolve->addresses != NULL) {
        return CONNPOOL_STEP_DONE;
    }
    (void)pthread_mutex_lock(&lookups->lock);
    complete = lookup->state == LOOKUP_COMPLETE;
    resolve->token = wait->token;
    (void)pthread_mutex_unlock(&lookups->lock);
    if (!complete) {
        wait->flags |= CONNPOOL_WAIT_WAKE;
        return CONNPOOL_STEP_AGAIN;
    }
    if (lookup->addresses == NULL) {
        if (fault != NULL && fault->error_class == 0) {
            fault->library_code = lookup->fault.library_code;
            fault->scope = lookup->fault.scope;
        }
        return cp_fault_set(fault, lookup->fault.error_class, lookup->fault.os_error, "%s", lookup->fault.text);
    }
    resolve->addresses = cp_addresses_ref(lookup->addresses);
    return CONNPOOL_STEP_DONE;
}

const struct cp_addresses *cp_resolve_addresses(const struct connpool_resolve *resolve)
{
    return resolve->addresses;
}

const char *cp_resolve_take(struct connpool_resolve *resolve, uint32_t index)
{
    if (resolve->addresses == NULL || index >= resolve->addresses->count) {
        return NULL;
    }
    return resolve->addresses->items[index].text;
}

void cp_resolve_stop(struct connpool_resolve *resolve)
{
    if (resolve == NULL) {
        return;
    }
    if (resolve->lookup != NULL) {
        leave_lookup(resolve);
    }
    cp_addresses_unref(resolve->addresses);
    cp_free(resolve);
}
