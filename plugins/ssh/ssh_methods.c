/* SPDX-License-Identifier: MIT */
/* ssh_methods: see ssh_methods.h. */
#include "ssh_methods.h"

#include <stdbool.h>
#include <string.h>

#define LIST_SIZE 256

/* Nothing that is known to be weak, and no group whose arithmetic takes more than a millisecond or two. (Of these
 * libssh2 1.10 lacks GCM and the MACs over the encrypted text.) */
#define KEY_EXCHANGES                                                                                                  \
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"         \
    "diffie-hellman-group14-sha256"
#define CIPHERS "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
#define MACS    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"

static const struct {
    int kind;
    const char *names;
} safe[] = {
    {LIBSSH2_METHOD_KEX, KEY_EXCHANGES}, {LIBSSH2_METHOD_CRYPT_CS, CIPHERS}, {LIBSSH2_METHOD_CRYPT_SC, CIPHERS},
    {LIBSSH2_METHOD_MAC_CS, MACS},       {LIBSSH2_METHOD_MAC_SC, MACS},      {LIBSSH2_METHOD_COMP_CS, "none"},
    {LIBSSH2_METHOD_COMP_SC, "none"},
};

static bool is_among(const char *const *names, int count, const char *name, size_t length)
{
    for (int i = 0; i < count; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* libssh2_session_method_pref leaves out by itself what it does not have, but by memcpy of bytes onto themselves, which
 * may do anything; so it gets only what it has. */
int ssh_methods_allow(LIBSSH2_SESSION *session, int kind, const char *names)
{
    const char **supported = NULL;
    int count = libssh2_session_supported_algs(session, kind, &supported);
    char list[LIST_SIZE];
    size_t used = 0;

    if (count < 0) {
        return count;
    }
    for (const char *name = names; *name != '\0';) {
        size_t length = strcspn(name, ",");

        if (is_among(supported, count, name, length) && used + length + 1 < sizeof(list)) {
            memcpy(list + used, name, length);
            used += length;
            list[used++] = ',';
        }
        name += length + (name[length] == ',' ? 1 : 0);
    }
    libssh2_free(session, (void *)supported);
    list[used == 0 ? 0 : used - 1] = '\0';
    return libssh2_session_method_pref(session, kind, list);
}

int ssh_methods_allow_safe(LIBSSH2_SESSION *session)
{
    int result = 0;

    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]) && result == 0; i++) {
        result = ssh_methods_allow(session, safe[i].kind, safe[i].names);
    }
    return result;
}
