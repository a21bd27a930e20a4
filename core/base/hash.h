/* SPDX-License-Identifier: MIT */
/* hash: numbers for hash tables whose keys may come from strangers. SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast
 * short-input PRF", 2012) with a key that is random for each process. Any thread, never waits. */
#ifndef CP_HASH_H
#define CP_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t cp_hash(const void *bytes, size_t size);
/* One number for an ordered pair of them. */
uint64_t cp_hash_pair(uint64_t a, uint64_t b);
/* SipHash-2-4 with a given key: what cp_hash is made of. */
uint64_t cp_hash_keyed(const uint64_t key[2], const void *bytes, size_t size);

#endif
