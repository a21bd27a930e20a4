/* SPDX-License-Identifier: MIT */
/*
 * known_hosts: the keys by which servers are known, from a file in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT:
 * plain, wildcard, negated and hashed names are honoured. Lines with a marker (@revoked, @cert-authority), of a form
 * that is not understood, or of SSH 1 make the whole file wrong: to pass over one could trust a revoked key. Nothing is
 * ever written.
 */
#ifndef KNOWN_HOSTS_H
#define KNOWN_HOSTS_H

#include <connpool/manager.h>
#include <stdbool.h>

#include "ssh_key.h"
#include "ssh_memory.h"

#define KNOWN_HOSTS_NAME_SIZE 320 /* of a host's name with brackets and port */
#define KNOWN_HOSTS_PORT      22  /* with it a host is looked up by its name alone */

struct known_host {
    const char *names; /* as it stands in the file */
    const unsigned char *key;
    size_t key_length;
    enum ssh_key_kind kind;
};

struct known_hosts {
    struct known_host *hosts;
    size_t count;
};

/* Take the text apart, which is changed; it and the memory must live as long as known_hosts. path is for errors: 0, or
 * the negative of CONNPOOL_ERROR_CONFIGURATION or _RESOURCE_LOCAL with the fault filled. */
int32_t known_hosts_read(struct known_hosts *known_hosts, char *text, const char *path, struct ssh_memory *memory,
                         struct connpool_fault *fault);

/* How a server is looked up: host where the port is 22, else [host]:port; in small letters. */
void known_hosts_name(const char *host, int64_t port, char name[KNOWN_HOSTS_NAME_SIZE]);
/* Whether the entry is of the server of that name. */
bool known_hosts_match(const struct known_host *host, const char *name);
/* Whether the file has that key for the server of that name. */
bool known_hosts_have(const struct known_hosts *known_hosts, const char *name, const unsigned char *key, size_t length);
/* Of which kinds the file has keys for that name: a bit (1 << kind) for each. */
unsigned known_hosts_kinds(const struct known_hosts *known_hosts, const char *name);

#endif
