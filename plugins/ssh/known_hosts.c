/* SPDX-License-Identifier: MIT */
/* known_hosts: see known_hosts.h. */
#include "known_hosts.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "../common/fault.h"

#define BLANK          " \t\r"
#define HASH_MARK      '|'
#define HASH_SHA1      "|1|"
#define HASH_SIZE      20 /* SHA-1 */
#define HASH_TEXT_SIZE 28 /* in base64 */

/* ---- Reading */

struct reader {
    const char *path;
    unsigned line;
    unsigned char *key_memory; /* what is left for decoded keys */
    struct connpool_fault *fault;
};

static int32_t refuse(const struct reader *reader, const char *reason)
{
    return fault_fill(reader->fault, CONNPOOL_ERROR_CONFIGURATION, 0, "known_hosts %s, line %u: %s", reader->path,
                      reader->line, reason);
}

/* The next word of the line, ended by NUL; "" where there is none. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, BLANK);
    size_t length = strcspn(word, BLANK);

    *rest = word + length;
    if (word[length] != '\0') {
        word[length] = '\0';
        *rest += 1;
    }
    return word;
}

static bool is_hash(const char *names)
{
    const char *salt = names + strlen(HASH_SHA1);
    unsigned char bytes[HASH_TEXT_SIZE];

    return strncmp(names, HASH_SHA1, strlen(HASH_SHA1)) == 0 && strlen(salt) == 2 * HASH_TEXT_SIZE + 1 &&
           salt[HASH_TEXT_SIZE] == HASH_MARK && ssh_key_decode(salt, HASH_TEXT_SIZE, bytes) == HASH_SIZE &&
           ssh_key_decode(salt + HASH_TEXT_SIZE + 1, HASH_TEXT_SIZE, bytes) == HASH_SIZE;
}

/* Decode the key, which says its kind itself once more. */
static bool read_key(struct reader *reader, struct known_host *host, const char *kind, const char *text)
{
    int length = ssh_key_decode(text, strlen(text), reader->key_memory);
    const unsigned char *at = reader->key_memory;
    const unsigned char *name;
    size_t name_length;

    if (length < 0 || !ssh_key_string(&at, at + length, &name, &name_length) || name_length != strlen(kind) ||
        memcmp(name, kind, name_length) != 0) {
        return false;
    }
    host->kind = ssh_key_kind_of(kind, name_length);
    host->key = reader->key_memory;
    host->key_length = (size_t)length;
    reader->key_memory += strlen(text) / 4 * 3;
    return true;
}

static int32_t read_host(struct reader *reader, struct known_host *host, char *line)
{
    const char *kind;

    if (line[0] == '@') {
        return refuse(reader, "markers (@revoked, @cert-authority) are not honoured here; remove the line, and what it"
                              " revokes");
    }
    host->names = next_word(&line);
    kind = next_word(&line);
    if (host->names[0] == HASH_MARK && !is_hash(host->names)) {
        return refuse(reader, "a hashed name that is not of the form |1|salt|hash");
    }
    if (kind[0] == '\0' || isdigit((unsigned char)kind[0])) {
        return refuse(reader, "expected names, kind and key; keys of SSH 1 are not taken");
    }
    return read_key(reader, host, kind, next_word(&line)) ? 0 : refuse(reader, "the key is not one of its kind");
}

static size_t count_lines(const char *text)
{
    size_t count = 1;

    for (const char *end = strchr(text, '\n'); end != NULL; end = strchr(end + 1, '\n')) {
        count++;
    }
    return count;
}

static int32_t read_lines(struct known_hosts *known_hosts, struct reader *reader, char *text)
{
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        int32_t result;

        reader->line++;
        if (end != NULL) {
            *end++ = '\0';
        }
        line += strspn(line, BLANK);
        if (line[0] != '\0' && line[0] != '#') {
            result = read_host(reader, &known_hosts->hosts[known_hosts->count], line);
            if (result != 0) {
                return result;
            }
            known_hosts->count++;
        }
        line = end;
    }
    return 0;
}

int32_t known_hosts_read(struct known_hosts *known_hosts, char *text, const char *path, struct ssh_memory *memory,
                         struct connpool_fault *fault)
{
    struct reader reader = {.path = path, .fault = fault};

    known_hosts->count = 0;
    known_hosts->hosts = ssh_memory_take(memory, count_lines(text) * sizeof(struct known_host));
    reader.key_memory = ssh_memory_take(memory, strlen(text) + 1);
    if (known_hosts->hosts == NULL || reader.key_memory == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory for known_hosts");
    }
    return read_lines(known_hosts, &reader, text);
}

/* ---- Looking up */

static char lower(char character)
{
    return (char)tolower((unsigned char)character);
}

void known_hosts_name(const char *host, int64_t port, char name[KNOWN_HOSTS_NAME_SIZE])
{
    if (port == KNOWN_HOSTS_PORT) {
        (void)snprintf(name, KNOWN_HOSTS_NAME_SIZE, "%s", host);
    } else {
        (void)snprintf(name, KNOWN_HOSTS_NAME_SIZE, "[%s]:%d", host, (int)port);
    }
    for (char *at = name; *at != '\0'; at++) {
        *at = lower(*at);
    }
}

/* `*` stands for any characters, `?` for one. After a mismatch the last star takes one character more. */
static bool match_pattern(const char *pattern, size_t length, const char *name)
{
    const char *end = pattern + length;
    const char *star = NULL;
    const char *taken = NULL;

    while (*name != '\0') {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            taken = name;
        } else if (pattern < end && (*pattern == '?' || lower(*pattern) == lower(*name))) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++taken;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*') {
        pattern++;
    }
    return pattern == end;
}

static bool match_names(const char *names, const char *name)
{
    bool is_found = false;

    for (;;) {
        bool is_negated = names[0] == '!';
        const char *pattern = names + (is_negated ? 1 : 0);
        size_t length = strcspn(pattern, ",");

        if (match_pattern(pattern, length, name)) {
            if (is_negated) {
                return false;
            }
            is_found = true;
        }
        if (pattern[length] == '\0') {
            return is_found;
        }
        names = pattern + length + 1;
    }
}

static bool match_hash(const char *names, const char *name)
{
    const char *salt_text = names + strlen(HASH_SHA1);
    unsigned char salt[HASH_TEXT_SIZE];
    unsigned char hash[HASH_TEXT_SIZE];
    unsigned char found[EVP_MAX_MD_SIZE];

    (void)ssh_key_decode(salt_text, HASH_TEXT_SIZE, salt);
    (void)ssh_key_decode(salt_text + HASH_TEXT_SIZE + 1, HASH_TEXT_SIZE, hash);
    return HMAC(EVP_sha1(), salt, HASH_SIZE, (const unsigned char *)name, strlen(name), found, NULL) != NULL &&
           memcmp(hash, found, HASH_SIZE) == 0;
}

bool known_hosts_match(const struct known_host *host, const char *name)
{
    return host->names[0] == HASH_MARK ? match_hash(host->names, name) : match_names(host->names, name);
}

bool known_hosts_have(const struct known_hosts *known_hosts, const char *name, const unsigned char *key, size_t length)
{
    for (size_t i = 0; i < known_hosts->count; i++) {
        const struct known_host *host = &known_hosts->hosts[i];

        if (host->key_length == length && memcmp(host->key, key, length) == 0 && known_hosts_match(host, name)) {
            return true;
        }
    }
    return false;
}

unsigned known_hosts_kinds(const struct known_hosts *known_hosts, const char *name)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < known_hosts->count; i++) {
        if (known_hosts_match(&known_hosts->hosts[i], name)) {
            kinds |= 1u << known_hosts->hosts[i].kind;
        }
    }
    return kinds;
}
