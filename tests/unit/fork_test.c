/* SPDX-License-Identifier: MIT */
/* fork: what is recorded, and what a forked child closes (failures.md B9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"
#include "engine/token.h"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* A descriptor of a file of its own, recorded by nobody. */
static int file_open(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)close(ends[1]);
    return ends[0];
}

/* Whether check(argument) holds in a forked child. */
static bool holds_in_child(bool (*check)(void *argument), void *argument)
{
    int status = -1;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(check(argument) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static int prepare(void **state)
{
    (void)state;
    return cp_fork_prepare() && cp_fork_prepare() ? 0 : -1;
}

/* ---- The record ---- */

static void a_place_tells_its_descriptor(void **state)
{
    int fd = file_open(), other = file_open();
    int64_t place = cp_fork_record(fd), other_place = cp_fork_record(other);

    (void)state;
    assert_true(place >= 0 && other_place >= 0 && place != other_place);
    assert_int_equal(cp_fork_descriptor(place), fd);
    assert_int_equal(cp_fork_descriptor(other_place), other);
    cp_fork_forget(place);
    place = cp_fork_record(other);
    assert_int_equal(cp_fork_descriptor(place), other);
    cp_fork_forget(place);
    cp_fork_forget(other_place);
    (void)close(fd);
    (void)close(other);
}

static void what_is_no_descriptor_has_no_place(void **state)
{
    int fd = file_open();

    (void)state;
    (void)close(fd);
    assert_true(cp_fork_record(fd) == -1);
    assert_true(cp_fork_record(-1) == -1);
    assert_int_equal(cp_fork_descriptor(-1), -1);
    cp_fork_forget(-1);
}

#define MANY 5000

static void many_records_have_places_of_their_own(void **state)
{
    static int64_t places[MANY];
    int fd = file_open();

    (void)state;
    for (int i = 0; i < MANY; i++) {
        places[i] = cp_fork_record(fd);
        assert_true(places[i] >= 0 && (i == 0 || places[i] != places[i - 1]));
    }
    for (int i = 0; i < MANY; i += 2) {
        cp_fork_forget(places[i]);
    }
    for (int i = 0; i < MANY; i += 2) { /* places are used again; no fork was before */
        int64_t place = cp_fork_record(fd);

        assert_true(place >= 0 && place < 2 * MANY);
        places[i] = place;
    }
    for (int i = 0; i < MANY; i++) {
        cp_fork_forget(places[i]);
    }
    (void)close(fd);
}

/* ---- The child ---- */

struct files {
    int recorded, unrecorded, forgotten, reused;
    int64_t places[3];
    uint32_t generation;
};

static bool only_the_recorded_is_closed(void *argument)
{
    const struct files *files = argument;

    return !is_open(files->recorded) && is_open(files->unrecorded) && is_open(files->forgotten) &&
           is_open(files->reused) && cp_fork_generation == files->generation + 1;
}

static void files_open(struct files *files)
{
    int other = file_open();

    files->recorded = file_open();
    files->unrecorded = file_open();
    files->forgotten = file_open();
    files->reused = file_open();
    files->places[0] = cp_fork_record(files->recorded);
    files->places[1] = cp_fork_record(files->forgotten);
    files->places[2] = cp_fork_record(files->reused);
    cp_fork_forget(files->places[1]);
    /* its owner closed it and has not said so yet; the number is another's */
    assert_int_equal(dup3(other, files->reused, O_CLOEXEC), files->reused);
    (void)close(other);
    files->generation = cp_fork_generation;
}

static void files_close(struct files *files)
{
    cp_fork_forget(files->places[0]);
    cp_fork_forget(files->places[2]);
    (void)close(files->recorded);
    (void)close(files->unrecorded);
    (void)close(files->forgotten);
    (void)close(files->reused);
}

static void b9_the_child_closes_what_is_recorded_and_nothing_else(void **state)
{
    struct files files;

    (void)state;
    files_open(&files);
    assert_true(holds_in_child(only_the_recorded_is_closed, &files));
    assert_true(is_open(files.recorded));
    assert_int_equal(cp_fork_generation, files.generation);
    assert_int_equal(cp_fork_descriptor(files.places[0]), files.recorded);
    files_close(&files);
}

static bool is_closed(void *argument)
{
    return !is_open(*(int *)argument);
}

/* The child's own records: its inherited places name none of them, and its own child closes them. */
static bool records_of_its_own_work(void *argument)
{
    const struct files *files = argument;
    int fd = file_open();
    int64_t place = cp_fork_record(fd);
    bool is_own;

    for (int i = 0; i < 3; i++) {
        if (cp_fork_descriptor(files->places[i]) != -1) {
            return false;
        }
        cp_fork_forget(files->places[i]);
    }
    is_own = place >= 0 && cp_fork_descriptor(place) == fd && is_open(fd);
    return is_own && holds_in_child(is_closed, &fd) && is_open(fd);
}

static void b9_a_child_has_records_of_its_own(void **state)
{
    struct files files;

    (void)state;
    files_open(&files);
    assert_true(holds_in_child(records_of_its_own_work, &files));
    files_close(&files);
}

/* The peer sees neither a byte nor an end: the parent goes on with its connection. */
static void b9_the_peer_notices_nothing(void **state)
{
    int64_t place;
    char byte = 0;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    place = cp_fork_record(ends[0]);
    assert_true(holds_in_child(is_closed, &ends[0]));
    assert_int_equal(read(ends[1], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(ends[0], "x", 1), 1);
    assert_int_equal(read(ends[1], &byte, 1), 1);
    cp_fork_forget(place);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- Other threads ---- */

#define THREADS 4
#define FORKS   100

struct storm {
    _Atomic bool stop;
    struct files *files;
};

static void *record_and_wake(void *argument)
{
    struct storm *storm = argument;
    int fd = dup(storm->files->unrecorded);

    while (!storm->stop) {
        uint64_t token = cp_token_new();
        int64_t place = cp_fork_record(fd);

        cp_token_wake(token);
        cp_fork_forget(place);
        cp_token_free(token);
    }
    (void)close(fd);
    return NULL;
}

/* No lock of the parent's other threads is held here for ever. */
static bool the_child_is_whole(void *argument)
{
    bool is_closed_well = only_the_recorded_is_closed(argument); /* before the number is used again */
    uint64_t token = cp_token_new();

    cp_token_wake(token);
    cp_token_free(token);
    return is_closed_well && token != 0 && cp_fork_record(file_open()) >= 0;
}

static void b9_a_fork_while_threads_record(void **state)
{
    struct files files;
    struct storm storm = {.files = &files};
    pthread_t threads[THREADS];

    (void)state;
    files_open(&files);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, record_and_wake, &storm), 0);
    }
    for (int i = 0; i < FORKS; i++) {
        assert_true(holds_in_child(the_child_is_whole, &files));
    }
    storm.stop = true;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    files_close(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_tells_its_descriptor),
        cmocka_unit_test(what_is_no_descriptor_has_no_place),
        cmocka_unit_test(many_records_have_places_of_their_own),
        cmocka_unit_test(b9_the_child_closes_what_is_recorded_and_nothing_else),
        cmocka_unit_test(b9_a_child_has_records_of_its_own),
        cmocka_unit_test(b9_the_peer_notices_nothing),
        cmocka_unit_test(b9_a_fork_while_threads_record),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
