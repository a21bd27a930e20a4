/* SPDX-License-Identifier: MIT */
/* hash: see hash.h. */
#include "base/hash.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void make_process_key(void)
{
    struct timespec now;

    if (getrandom(process_key, sizeof(process_key), GRND_NONBLOCK) != (ssize_t)sizeof(process_key)) {
        /* Early at boot there may be no random bytes yet: the time and an address are the next best. */
        (void)clock_gettime(CLOCK_REALTIME, &now);
        process_key[0] = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
        process_key[1] = (uint64_t)(uintptr_t)process_key;
    }
}

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t cp_hash_keyed(const uint64_t key[2], const void *bytes, size_t size)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u}; /* the paper's constants */
    uint64_t word;
    size_t done = 0;

    for (; size - done >= sizeof(word); done += sizeof(word)) {
        memcpy(&word, (const char *)bytes + done, sizeof(word));
        sip_word(v, word);
    }
    word = 0;
    if (size > done) {
        memcpy(&word, (const char *)bytes + done, size - done);
    }
    sip_word(v, word | (uint64_t)size << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t cp_hash(const void *bytes, size_t size)
{
    (void)pthread_once(&process_key_once, make_process_key);
    return cp_hash_keyed(process_key, bytes, size);
}

uint64_t cp_hash_pair(uint64_t a, uint64_t b)
{
    const uint64_t pair[2] = {a, b};

    return cp_hash(pair, sizeof(pair));
}
