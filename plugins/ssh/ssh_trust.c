/* SPDX-License-Identifier: MIT */
/* ssh_trust: see ssh_trust.h. */
#include "ssh_trust.h"

#include <stdio.h>
#include <string.h>

#include "../common/fault.h"
#include "ssh_methods.h"
#include "ssh_session.h"

#define KINDS_SIZE 128

static const struct ssh_endpoint *endpoint_of(const struct ssh_session *session)
{
    return session->stream.head.parent;
}

static const struct ssh_pool *pool_of(const struct ssh_session *session)
{
    return endpoint_of(session)->head.parent;
}

static const struct ssh_options *options_of(const struct ssh_session *session)
{
    return session->stream.head.options;
}

static int32_t refuse(struct connpool_fault *fault, const char *reason, const struct ssh_session *session,
                      const char *found)
{
    (void)fault_fill(fault, CONNPOOL_ERROR_TRUST, 0, "%s %s: %s", reason, endpoint_of(session)->name, found);
    fault->scope = CONNPOOL_SCOPE_ENDPOINT;
    return -CONNPOOL_ERROR_TRUST;
}

/* Kinds of keys that the server may prove: those of known_hosts, else all. */
static unsigned wanted_kinds(const struct ssh_session *session)
{
    return options_of(session)->known_hosts != NULL ? endpoint_of(session)->kinds : ~0u;
}

/* Names of the kinds, joined by commas; with methods those to ask a server for, where there are any. */
static void join(unsigned kinds, bool as_methods, char *text, size_t size)
{
    size_t length = 0;

    text[0] = '\0';
    for (unsigned kind = SSH_KEY_ED25519; kind <= SSH_KEY_OTHER; kind++) {
        const char *name = as_methods ? ssh_key_methods(kind) : ssh_key_name(kind);

        if ((kinds & 1u << kind) != 0 && name != NULL && length < size) {
            length += (size_t)snprintf(text + length, size - length, "%s%s", length == 0 ? "" : ",", name);
        }
    }
}

int32_t ssh_trust_is_possible(const struct ssh_session *session, struct connpool_fault *fault)
{
    unsigned kinds = wanted_kinds(session);
    char text[KINDS_SIZE];

    if (kinds == 0) {
        return refuse(fault, "known_hosts has no key for", session, "the server is not known");
    }
    join(kinds, true, text, sizeof(text));
    if (text[0] == '\0') {
        join(kinds, false, text, sizeof(text));
        return refuse(fault, "known_hosts has, of kinds that libssh2 can verify, no key for", session, text);
    }
    return 0;
}

int32_t ssh_trust_ask(struct ssh_session *session, struct connpool_fault *fault)
{
    char text[KINDS_SIZE];
    int result;

    join(wanted_kinds(session), true, text, sizeof(text));
    result = ssh_methods_allow(session->libssh2, LIBSSH2_METHOD_HOSTKEY, text);
    return result == 0 ? 0
                       : ssh_session_fail(session, result, CONNPOOL_ERROR_UNSUPPORTED, "the kinds of host keys", fault);
}

int32_t ssh_trust_fail(struct ssh_session *session, int error, struct connpool_fault *fault)
{
    char what[KINDS_SIZE + 128];
    char kinds[KINDS_SIZE];

    switch (error) {
    case LIBSSH2_ERROR_KEX_FAILURE:
        /* libssh2 does not tell which; most often the server has other host keys now. */
        join(wanted_kinds(session), true, kinds, sizeof(kinds));
        (void)snprintf(what, sizeof(what),
                       "handshake: the server has no host key of the kinds known for it (%s), or no key exchange, "
                       "cipher or MAC that is safe",
                       kinds);
        session->is_lost = false; /* it hung up because of that */
        return ssh_session_fail(session, error, CONNPOOL_ERROR_TRUST, what, fault);
    case LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
    case LIBSSH2_ERROR_HOSTKEY_INIT:
    case LIBSSH2_ERROR_HOSTKEY_SIGN:
        return ssh_session_fail(session, error, CONNPOOL_ERROR_TRUST, "handshake: the server did not prove its key",
                                fault);
    default:
        return ssh_session_fail(session, error, CONNPOOL_ERROR_PROTOCOL, "handshake", fault);
    }
}

static bool is_pinned(const struct connpool_list *pins, const unsigned char *key, size_t length)
{
    for (uint32_t i = 0; i < pins->count; i++) {
        if (ssh_key_has_digest(key, length, pins->items[i])) {
            return true;
        }
    }
    return false;
}

int32_t ssh_trust_verify(struct ssh_session *session, struct connpool_fault *fault)
{
    const struct ssh_options *options = options_of(session);
    size_t length = 0;
    int kind = 0;
    const unsigned char *key = (const unsigned char *)libssh2_session_hostkey(session->libssh2, &length, &kind);
    const char *name;

    if (key == NULL) {
        return refuse(fault, "no host key from", session, "the handshake gave none");
    }
    name = ssh_key_name(ssh_key_kind_of_wire(key, length));
    if (options->known_hosts != NULL &&
        !known_hosts_have(&pool_of(session)->known_hosts, endpoint_of(session)->name, key, length)) {
        return refuse(fault, "the server's host key is not the one that known_hosts has for", session, name);
    }
    if (options->host_key_pins.count > 0 && !is_pinned(&options->host_key_pins, key, length)) {
        return refuse(fault, "no pin of host_key_pins is of the host key of", session, name);
    }
    return 0;
}
