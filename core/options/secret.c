/* SPDX-License-Identifier: MIT */
/* secret: see secret.h. */
#include "options/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/complaint.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* The most that a secret's file may hold. */
#define LARGEST ((size_t)64 * 1024)

#define EXPECTED "{\"env\": \"NAME\"} or {\"file\": \"PATH\"}"

/* Stands at the begin of a secret's own pages, the text behind it. */
struct secret {
    void *block; /* what the pages were cut from */
    size_t size; /* of the pages */
    char text[];
};

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Room for size bytes, zeroed, on pages of its own. NULL: no memory. */
static char *secret_new(size_t size)
{
    size_t page = page_size(), pages = (sizeof(struct secret) + size + page - 1) / page * page;
    void *block = cp_alloc(pages + page - 1);
    struct secret *secret;

    if (block == NULL) {
        return NULL;
    }
    secret = (struct secret *)(((uintptr_t)block + page - 1) / page * page);
    /* Where the kernel cannot, the secret is only in core files. */
    (void)madvise(secret, pages, MADV_DONTDUMP);
    secret->block = block;
    secret->size = pages;
    return secret->text;
}

void cp_secret_free(char *text)
{
    struct secret *secret;
    void *block;
    size_t size;

    if (text == NULL) {
        return;
    }
    secret = (struct secret *)(void *)(text - offsetof(struct secret, text));
    block = secret->block;
    size = secret->size;
    explicit_bzero(secret, size);
    (void)madvise(secret, size, MADV_DODUMP);
    cp_free(block);
}

bool cp_secret_equal(const char *a, const char *b)
{
    size_t a_length, b_length;
    unsigned char difference = 0;

    if (a == NULL || b == NULL) {
        return a == b;
    }
    a_length = strlen(a);
    b_length = strlen(b);
    for (size_t i = 0; i < a_length && i < b_length; i++) {
        difference |= (unsigned char)(a[i] ^ b[i]);
    }
    return difference == 0 && a_length == b_length;
}

static char *secret_copy(const char *text, struct cp_complaint *complaint)
{
    size_t length = strlen(text);
    char *secret = secret_new(length + 1);

    if (secret == NULL) {
        (void)cp_complain_no_memory(complaint);
        return NULL;
    }
    memcpy(secret, text, length);
    return secret;
}

/* As POSIX has it, also so that a secret written in the place of a name is not shown. */
static bool is_variable_name(const char *name)
{
    if (*name == '\0' || (*name >= '0' && *name <= '9')) {
        return false;
    }
    for (; *name != '\0'; name++) {
        if (!((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') ||
              *name == '_')) {
            return false;
        }
    }
    return true;
}

static char *read_variable(const char *name, struct cp_complaint *complaint)
{
    const char *value;

    if (!is_variable_name(name)) {
        (void)cp_complain(complaint,
                          "found {\"env\": …} with text that is no variable's name, expected letters, digits and _");
        return NULL;
    }
    value = secure_getenv(name);
    if (value == NULL) {
        (void)cp_complain(complaint, "found {\"env\": \"%s\"}, expected that variable in the environment%s", name,
                          getenv(name) == NULL ? "" : " of a program that is not set-uid");
        return NULL;
    }
    if (*value == '\0') {
        (void)cp_complain(complaint, "found {\"env\": \"%s\"}, which is empty, expected a secret in it", name);
        return NULL;
    }
    return secret_copy(value, complaint);
}

/* What is wrong with a secret's file; NULL: nothing. */
static const char *file_fault(const struct stat *status)
{
    if (!S_ISREG(status->st_mode)) {
        return "a regular file";
    }
    if (status->st_uid != 0 && status->st_uid != geteuid()) {
        return "a file owned by root or the effective user";
    }
    if ((status->st_mode & 077) != 0) {
        return "a file closed to group and others (mode 0600)";
    }
    return status->st_size > (off_t)LARGEST ? "at most 64 KiB" : NULL;
}

/* Strips one line end. name: as the configuration has it, for the complaint. */
static bool trim(char *secret, size_t length, const char *name, struct cp_complaint *complaint)
{
    if (length > 0 && secret[length - 1] == '\n') {
        secret[--length] = '\0';
        if (length > 0 && secret[length - 1] == '\r') {
            secret[--length] = '\0';
        }
    }
    if (length == 0) {
        return cp_complain(complaint, "found {\"file\": %s}, which is empty, expected a secret in it",
                           cp_quote(name).text);
    }
    if (memchr(secret, '\0', length) != NULL) {
        return cp_complain(complaint, "found {\"file\": %s} with a NUL in it, expected text", cp_quote(name).text);
    }
    return true;
}

static char *read_open_file(int fd, const char *name, struct cp_complaint *complaint)
{
    char *buffer = secret_new(LARGEST + 2), *secret = NULL;
    ssize_t length;

    if (buffer == NULL) {
        (void)cp_complain_no_memory(complaint);
        return NULL;
    }
    length = cp_file_read(fd, buffer, LARGEST + 1);
    if (length < 0) {
        (void)cp_complain(complaint, "found {\"file\": %s} that cannot be read: %s", cp_quote(name).text,
                          cp_file_reason(errno));
    } else if ((size_t)length > LARGEST) {
        (void)cp_complain(complaint, "found {\"file\": %s}, expected at most 64 KiB", cp_quote(name).text);
    } else if (trim(buffer, (size_t)length, name, complaint)) {
        secret = secret_copy(buffer, complaint);
    }
    cp_secret_free(buffer);
    return secret;
}

static char *read_path(const char *path, const char *name, struct cp_complaint *complaint)
{
    struct stat status;
    int fd = cp_file_open(path);
    const char *fault;
    char *secret = NULL;

    if (fd < 0 || fstat(fd, &status) != 0) {
        (void)cp_complain(complaint, "found {\"file\": %s} that cannot be opened: %s", cp_quote(name).text,
                          cp_file_reason(errno));
    } else if ((fault = file_fault(&status)) != NULL) {
        (void)cp_complain(complaint, "found {\"file\": %s}, expected %s", cp_quote(name).text, fault);
    } else {
        secret = read_open_file(fd, name, complaint);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return secret;
}

static char *read_file(const char *name, const struct cp_option_source *source, struct cp_complaint *complaint)
{
    char *path, *secret;

    if (name[0] == '\0' || cp_text_kind(name, strlen(name)) != CP_TEXT_PLAIN) {
        (void)cp_complain(complaint, "found {\"file\": …} with an empty path or a control character, expected a path");
        return NULL;
    }
    if (name[0] != '/' && source->folder == NULL) {
        (void)cp_complain(complaint, "found {\"file\": %s}, expected an absolute path", cp_quote(name).text);
        return NULL;
    }
    path = cp_file_absolute(source->folder, name);
    if (path == NULL) {
        (void)cp_complain_no_memory(complaint);
        return NULL;
    }
    secret = read_path(path, name, complaint);
    cp_free(path);
    return secret;
}

char *cp_secret_read(const json_t *reference, const struct cp_option_source *source, struct cp_complaint *complaint)
{
    const json_t *variable = json_object_get(reference, "env"), *file = json_object_get(reference, "file");

    if (json_is_string(reference)) {
        const char *text = json_string_value(reference);

        if (source->allow_inline_secrets && *text != '\0') {
            return secret_copy(text, complaint);
        }
        (void)cp_complain(complaint, "%s",
                          source->allow_inline_secrets ? "found empty text, expected a secret"
                                                       : "found a literal secret, expected " EXPECTED
                                                         ", or \"allow_inline_secrets\": true at the top");
        return NULL;
    }
    if (json_object_size(reference) == 1 && json_is_string(variable)) {
        return read_variable(json_string_value(variable), complaint);
    }
    if (json_object_size(reference) == 1 && json_is_string(file)) {
        return read_file(json_string_value(file), source, complaint);
    }
    (void)cp_complain(complaint, "found %s, expected " EXPECTED,
                      json_is_object(reference) ? "an object of another form" : cp_json_kind(reference));
    return NULL;
}
