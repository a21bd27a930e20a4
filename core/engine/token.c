/* SPDX-License-Identifier: MIT */
/*
 * token: a slot's number in the lower half, its generation in the upper. Slots are never freed, so a late token always
 * finds its slot, and finds there that the generation went on. A slot is guarded by one of a few locks, chosen by its
 * number; wakers fire and end outside it.
 */
#include "engine/token.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/chunks.h"

#define STRIPES 16u

struct slot {
    struct cp_waker *waker; /* guarded by the slot's stripe, as all but next */
    uint32_t generation;
    bool latched;  /* a wake came while there was no waker */
    uint32_t next; /* in the list of free slots, 0: the last; guarded by the table's lock */
};

struct stripe {
    _Alignas(64) pthread_mutex_t lock; /* a cache line each */
};

static struct {
    pthread_mutex_t lock;
    uint32_t free;  /* the first free slot, 0: none */
    uint32_t count; /* slots ever used; number 0 is not, so that no token is 0 */
    struct cp_chunks slots;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct stripe stripes[STRIPES];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool prepared;

/* A forked child may open contexts of its own: no other thread may hold a lock at the fork. No lock of this file is
 * taken while another is held, but here. */
static void lock_all(void)
{
    (void)pthread_mutex_lock(&table.lock);
    for (unsigned i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_lock(&stripes[i].lock);
    }
}

static void unlock_all(void)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_unlock(&stripes[i].lock);
    }
    (void)pthread_mutex_unlock(&table.lock);
}

static void prepare(void)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_init(&stripes[i].lock, NULL);
    }
    prepared = pthread_atfork(lock_all, unlock_all, unlock_all) == 0;
}

static struct slot *slot_at(uint32_t number)
{
    return cp_chunks_row(&table.slots, number, sizeof(struct slot));
}

static pthread_mutex_t *lock_of(uint32_t number)
{
    return &stripes[number % STRIPES].lock;
}

/* A slot's number, 0: no memory. Memory is taken outside the lock. */
static uint32_t take_slot(void)
{
    for (;;) {
        uint32_t number, wanted;

        (void)pthread_mutex_lock(&table.lock);
        number = table.free;
        wanted = table.count + 1;
        if (number != 0) {
            table.free = slot_at(number)->next;
        } else if (slot_at(wanted) != NULL) {
            table.count = wanted;
            number = wanted;
        }
        (void)pthread_mutex_unlock(&table.lock);
        if (number != 0) {
            return number;
        }
        if (!cp_chunks_add(&table.slots, wanted, sizeof(struct slot))) {
            return 0;
        }
    }
}

static void give_slot(uint32_t number)
{
    (void)pthread_mutex_lock(&table.lock);
    slot_at(number)->next = table.free;
    table.free = number;
    (void)pthread_mutex_unlock(&table.lock);
}

/* Lock the slot that token names; NULL, nothing locked: the token is no more, or never was. */
static struct slot *slot_lock(uint64_t token)
{
    uint32_t number = (uint32_t)token;
    struct slot *slot = number == 0 ? NULL : slot_at(number);

    if (slot == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(lock_of(number));
    if (slot->generation != (uint32_t)(token >> 32)) {
        (void)pthread_mutex_unlock(lock_of(number));
        return NULL;
    }
    return slot;
}

static void slot_unlock(uint64_t token)
{
    (void)pthread_mutex_unlock(lock_of((uint32_t)token));
}

uint64_t cp_token_new(void)
{
    struct slot *slot;
    uint32_t number;
    uint64_t token;

    (void)pthread_once(&once, prepare);
    if (!prepared || (number = take_slot()) == 0) {
        return 0;
    }
    slot = slot_at(number);
    (void)pthread_mutex_lock(lock_of(number));
    slot->latched = false; /* an invented token may have named the slot before it was given out */
    token = (uint64_t)slot->generation << 32 | number;
    (void)pthread_mutex_unlock(lock_of(number));
    return token;
}

void cp_token_free(uint64_t token)
{
    struct slot *slot = slot_lock(token);
    struct cp_waker *waker;

    if (slot == NULL) {
        return;
    }
    waker = slot->waker;
    slot->waker = NULL;
    slot->latched = false;
    slot->generation++;
    slot_unlock(token);
    cp_waker_unref(waker);
    give_slot((uint32_t)token);
}

void cp_token_arm(uint64_t token, struct cp_waker *waker)
{
    struct slot *slot = slot_lock(token);
    struct cp_waker *old, *fired = NULL;

    if (slot == NULL) {
        return;
    }
    old = slot->waker;
    slot->waker = waker == NULL ? NULL : cp_waker_ref(waker);
    if (waker != NULL && slot->latched) {
        slot->latched = false;
        fired = cp_waker_ref(waker);
    }
    slot_unlock(token);
    cp_waker_unref(old);
    cp_waker_fire(fired);
}

void cp_token_wake(uint64_t token)
{
    struct slot *slot = slot_lock(token);
    struct cp_waker *fired = NULL;

    if (slot == NULL) {
        return;
    }
    if (slot->waker != NULL) {
        fired = cp_waker_ref(slot->waker);
    } else {
        slot->latched = true;
    }
    slot_unlock(token);
    cp_waker_fire(fired);
}
