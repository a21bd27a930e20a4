/* SPDX-License-Identifier: MIT */
/* race: see race.h. */
#include "race.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Between two looks at the clock's flag: enough that the look costs nothing, few enough that all stop at once. */
enum { OPERATIONS_BETWEEN_LOOKS = 64, CACHE_LINE = 64 };

struct track {
    _Alignas(CACHE_LINE) long operations;
    pthread_barrier_t *start;
    atomic_bool *is_over;
    race_work_fn *work;
    void *argument;
};

int64_t race_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *run(void *argument)
{
    struct track *track = argument;
    long operations = 0;

    (void)pthread_barrier_wait(track->start);
    while (!atomic_load_explicit(track->is_over, memory_order_relaxed)) {
        track->work(track->argument, OPERATIONS_BETWEEN_LOOKS);
        operations += OPERATIONS_BETWEEN_LOOKS;
    }
    track->operations = operations;
    return NULL;
}

static struct race result_of(const struct track *tracks, int threads, int64_t elapsed)
{
    long fewest = tracks[0].operations;
    long most = tracks[0].operations;
    long all = 0;

    for (int i = 0; i < threads; i++) {
        long operations = tracks[i].operations;

        fewest = operations < fewest ? operations : fewest;
        most = operations > most ? operations : most;
        all += operations;
    }
    return (struct race){.ns_per_operation = (double)elapsed / (double)(all == 0 ? 1 : all),
                         .fairness = most == 0 ? 0.0 : (double)fewest / (double)most};
}

struct race race_run(int threads, int64_t milliseconds, race_work_fn *work, void *argument)
{
    static struct track tracks[RACE_THREADS];
    pthread_t ids[RACE_THREADS];
    pthread_barrier_t start;
    atomic_bool is_over = false;
    struct timespec span = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    int64_t began;

    (void)pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        tracks[i] = (struct track){.start = &start, .is_over = &is_over, .work = work, .argument = argument};
        if (pthread_create(&ids[i], NULL, run, &tracks[i]) != 0) {
            (void)fprintf(stderr, "bench: no thread to be had\n");
            exit(1);
        }
    }
    (void)pthread_barrier_wait(&start);
    began = race_now();
    (void)nanosleep(&span, NULL);
    atomic_store(&is_over, true);
    for (int i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    began = race_now() - began;
    (void)pthread_barrier_destroy(&start);
    return result_of(tracks, threads, began);
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

double race_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(values[0]), compare);
    return values[count / 2];
}

static double stretch(race_work_fn *work, void *argument, const struct race_turns *race)
{
    int64_t began;

    work(argument, race->warmup);
    began = race_now();
    work(argument, race->times);
    return (double)(race_now() - began) / (double)race->times;
}

/* The least and the medians of one contestant's rounds, the values of the first one beside it. */
static struct race_turn turn_of(const double *ns, const double *first, int rounds)
{
    static double ratios[RACE_ROUNDS];
    static double sorted[RACE_ROUNDS];
    struct race_turn turn;

    for (int round = 0; round < rounds; round++) {
        ratios[round] = ns[round] / first[round];
        sorted[round] = ns[round];
    }
    turn.ns = race_median(sorted, rounds);
    turn.least = sorted[0];
    turn.ratio = race_median(ratios, rounds);
    return turn;
}

void race_in_turns(const struct race_turns *race, void *argument, struct race_turn *turns)
{
    static double ns[RACE_CONTESTANTS][RACE_ROUNDS];

    for (int round = 0; round < race->rounds; round++) {
        for (int i = 0; i < race->count; i++) {
            int contestant = (round + i) % race->count;

            ns[contestant][round] = stretch(race->contestants[contestant], argument, race);
        }
    }
    for (int i = 0; i < race->count; i++) {
        turns[i] = turn_of(ns[i], ns[0], race->rounds);
    }
}
