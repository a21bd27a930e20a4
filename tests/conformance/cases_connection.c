/* SPDX-License-Identifier: MIT */
/* cases_connection: what a connection holds and gives: descriptors, its handle, its idle machine; and how it takes the
 * loss of its peer. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases.h"
#include "pool/run.h"
#include "setting.h"
#include "stage.h"

#define MOST_DESCRIPTORS 16

/* ---- Descriptors ---- */

static bool is_socket(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static bool is_anonymous(int fd)
{
    char name[64], target[64] = "";

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return readlink(name, target, sizeof(target) - 1) > 0 && strncmp(target, "anon_inode:", 11) == 0;
}

static int32_t ask(const struct stage_connection *connection, int32_t *told)
{
    const struct connpool_manager *manager = connection->stage->manager;
    int32_t count;

    if (manager->descriptors == NULL) {
        return 0;
    }
    count = manager->descriptors(connection->state, told, MOST_DESCRIPTORS);
    CONFORM(count >= 0 && count <= MOST_DESCRIPTORS, "descriptors: tells of %d", count);
    for (int32_t i = 0; i < count; i++) {
        CONFORM(fcntl(told[i], F_GETFD) >= 0, "descriptors: %d is not open", told[i]);
        CONFORM(!is_anonymous(told[i]),
                "descriptors: %d is neither a socket nor a file: a forked child would close others", told[i]);
    }
    return count;
}

static bool is_told(const int32_t *told, int32_t count, int fd)
{
    for (int32_t i = 0; i < count; i++) {
        if (told[i] == fd) {
            return true;
        }
    }
    return false;
}

/* All sockets that came with an open are told of, so that a forked child can close them; none outlives an exec.
 * (failures.md B24)
 */
void case_descriptors_told(const struct conform_subject *subject)
{
    int32_t told[MOST_DESCRIPTORS] = {0}, untouched[1] = {-7};
    struct stage_descriptors before, after;
    struct stage_connection connection;
    struct stage stage;
    int32_t count = 0;
    uint32_t ready = 0;

    stage_open(&stage, subject, NULL);
    stage_must_open(&stage, &connection);
    stage_destroy(&connection);
    stage_connect(&stage, &connection);
    stage_list_descriptors(&before);
    stage_start(&connection, CP_OPEN, 0);
    while (stage_step(&connection, ready) == CONNPOOL_STEP_AGAIN) {
        (void)ask(&connection, told);
        ready = stage_wait(&connection, SETTING_PATIENCE_MS, NULL);
    }
    CONFORM(connection.result == CONNPOOL_STEP_DONE, "open failed: %s", connection.fault.text);
    count = ask(&connection, told);
    stage_list_descriptors(&after);
    for (size_t i = 0; i < after.count; i++) {
        int fd = after.fd[i];

        if (!stage_holds(&before, fd)) {
            CONFORM((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "descriptor %d is not closed by an exec", fd);
            CONFORM(!is_socket(fd) || is_told(told, count, fd), "socket %d came with the open and is not told of", fd);
        }
    }
    if (stage.manager->descriptors != NULL) {
        CONFORM(stage.manager->descriptors(connection.state, untouched, 0) == count && untouched[0] == -7,
                "descriptors: with a capacity of 0 the number is not %d, or something was written", count);
    }
    stage_destroy(&connection);
    stage_close(&stage);
}

static void whole_use(const struct conform_subject *subject)
{
    struct stage_connection connection;
    struct stage stage;

    stage_open(&stage, subject, NULL);
    for (int i = 0; i < 3; i++) {
        stage_must_open(&stage, &connection);
        stage_must(&connection, CP_PREPARE, 0);
        stage_must(&connection, CP_IDLE, 0);
        stage_must(&connection, CP_CHECK, 0);
        if (i > 0) {
            stage_must(&connection, CP_CLOSE, 0);
        }
        stage_destroy(&connection);
    }
    stage_close(&stage);
}

/* What the process has open afterwards is what it had before. */
void case_descriptors_returned(const struct conform_subject *subject)
{
    size_t before, after;

    whole_use(subject); /* what is made once in the process is made now */
    before = stage_count_descriptors();
    whole_use(subject);
    after = stage_count_descriptors();
    conform_at("after all is closed");
    CONFORM(after == before, "%zu descriptors before, %zu after", before, after);
}

/* ---- The handle ---- */

void case_native(const struct conform_subject *subject)
{
    struct stage_connection connection;
    void *out = &connection, *again = NULL;
    struct stage stage;

    stage_open(&stage, subject, NULL);
    stage_must_open(&stage, &connection);
    stage_must(&connection, CP_PREPARE, 0);
    CONFORM(stage.manager->native(connection.state, "nothing.of.the.kind/1", &out) == -CONNPOOL_ERROR_UNSUPPORTED,
            "native: knows a type that is none");
    CONFORM(out == &connection, "native: wrote something for a type that it does not know");
    if (subject->native != NULL) {
        CONFORM(stage.manager->native(connection.state, subject->native, &out) == 0 && out != NULL,
                "native: gives no %s", subject->native);
        CONFORM(stage.manager->native(connection.state, subject->native, &again) == 0 && again == out,
                "native: gives another %s the second time", subject->native);
    }
    stage_must(&connection, CP_CLOSE, 0);
    stage_destroy(&connection);
    stage_close(&stage);
}

/* A handle that is a bare descriptor is blocking, or for a loop not. */
static void has_mode(const struct stage_connection *connection, bool is_blocking)
{
    void *out = NULL;
    int flags;

    if (connection->stage->subject->native == NULL || strcmp(connection->stage->subject->native, "fd") != 0) {
        return;
    }
    CONFORM(connection->stage->manager->native(connection->state, "fd", &out) == 0, "native: gives no fd");
    flags = fcntl(*(const int32_t *)out, F_GETFL);
    CONFORM(flags >= 0 && ((flags & O_NONBLOCK) == 0) == is_blocking, "prepare left the descriptor %sblocking",
            is_blocking ? "non-" : "");
}

/* Whatever handle prepare left, every other step works, and none waits on it. */
void case_handles(const struct conform_subject *subject)
{
    static const uint32_t flags[] = {0, CONNPOOL_WAIT_FOR_LOOP, CONNPOOL_WAIT_FOR_LOOP, 0, 0};
    struct stage_connection connection;
    struct stage stage;

    stage_open(&stage, subject, NULL);
    stage_must_open(&stage, &connection);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        stage_must(&connection, CP_PREPARE, flags[i]);
        has_mode(&connection, flags[i] == 0);
        stage_must(&connection, CP_RESET, 0);
        stage_must(&connection, CP_IDLE, 0);
        stage_must(&connection, CP_CHECK, 0);
    }
    stage_must(&connection, CP_CLOSE, 0);
    stage_destroy(&connection);
    stage_close(&stage);
}

/* ---- The idle machine ---- */

/* A healthy parked connection comes to rest, and stays so, however often it is asked. */
void case_idle(const struct conform_subject *subject)
{
    struct stage_connection connection;
    struct stage stage;
    uint32_t ready = 0;

    stage_open(&stage, subject, NULL);
    stage_must_open(&stage, &connection);
    stage_must(&connection, CP_PREPARE, 0);
    stage_must(&connection, CP_RESET, 0);
    stage_start(&connection, CP_IDLE, 0);
    for (int i = 0; i < 30 && stage_has(&stage, CP_IDLE); i++) {
        int32_t result = stage_step(&connection, ready);

        CONFORM(result >= 0, "idle found a healthy connection dead: %s", connection.fault.text);
        ready = result == CONNPOOL_STEP_AGAIN ? stage_wait(&connection, i < 10 ? 20 : 0, NULL) : 0;
    }
    CONFORM(ready == 0, "idle asks for what is always there");
    stage_must(&connection, CP_CHECK, 0);
    stage_must(&connection, CP_CLOSE, 0);
    stage_destroy(&connection);
    stage_close(&stage);
}

/* ---- Loss ---- */

static int32_t sockets_of(const struct stage_connection *connection, int32_t *told)
{
    int32_t count = ask(connection, told);

    for (int32_t i = 0; i < count; i++) {
        CONFORM(is_socket(told[i]), "descriptors: %d is no socket", told[i]);
    }
    if (count == 0) {
        conform_skip("the manager tells of no socket");
    }
    return count;
}

/* From now on the peer is gone: reads end, writes raise SIGPIPE. */
static void lose(const struct stage_connection *connection)
{
    int32_t told[MOST_DESCRIPTORS];
    int32_t count = sockets_of(connection, told);

    for (int32_t i = 0; i < count; i++) {
        (void)shutdown(told[i], SHUT_RDWR);
    }
}

static void idle_finds_it_dead(struct stage_connection *connection)
{
    if (!stage_has(connection->stage, CP_IDLE)) {
        return;
    }
    (void)stage_drive(connection, CP_IDLE, 0);
    for (int i = 0; i < 10 && connection->result == CONNPOOL_STEP_AGAIN; i++) {
        (void)stage_step(connection, stage_wait(connection, SETTING_PATIENCE_MS, NULL));
    }
    CONFORM(connection->result < 0, "idle answered %d for a connection whose peer is gone", connection->result);
}

static void sigpipe_is_as_it_was(void)
{
    struct sigaction action;
    sigset_t pending, blocked;

    (void)sigaction(SIGPIPE, NULL, &action);
    CONFORM(action.sa_handler == SIG_DFL, "the process's disposition of SIGPIPE was changed");
    (void)sigpending(&pending);
    CONFORM(sigismember(&pending, SIGPIPE) == 0, "a SIGPIPE was left pending");
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    CONFORM(sigismember(&blocked, SIGPIPE) == 0, "SIGPIPE was left blocked");
}

/* Each operation on a connection whose peer is gone ends, and raises no SIGPIPE; its owner is told that it is dead.
 * (failures.md B15) */
void case_lost(const struct conform_subject *subject)
{
    static const enum cp_kind kinds[] = {CP_IDLE, CP_CHECK, CP_RESET, CP_CLOSE, CP_KIND_COUNT};
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct stage_connection connection;
    struct stage stage;

    (void)sigaction(SIGPIPE, &by_default, NULL);
    stage_open(&stage, subject, NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        stage_must_open(&stage, &connection);
        stage_must(&connection, CP_PREPARE, i % 2 == 0 ? 0 : CONNPOOL_WAIT_FOR_LOOP);
        lose(&connection);
        if (kinds[i] == CP_IDLE) {
            idle_finds_it_dead(&connection);
        } else if (kinds[i] != CP_KIND_COUNT) {
            int32_t result = stage_drive(&connection, kinds[i], 0);

            CONFORM(kinds[i] != CP_CHECK || !stage_has(&stage, CP_CHECK) || result < 0,
                    "check found a connection healthy whose peer is gone");
        }
        conform_at("destroy of a connection whose peer is gone");
        stage_destroy(&connection);
    }
    stage_close(&stage);
    sigpipe_is_as_it_was();
}

/* From now on nothing of what arrives is seen, as behind a firewall that forgot the connection. False: this system lets
 * only root do that, or the sockets are none of a network. */
static bool mute(const struct stage_connection *connection)
{
    struct sock_filter keep_nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &keep_nothing};
    int32_t told[MOST_DESCRIPTORS];
    int32_t count = sockets_of(connection, told);
    bool is_mute = true;

    for (int32_t i = 0; i < count; i++) {
        int domain = AF_UNIX;
        socklen_t length = sizeof(domain);

        (void)getsockopt(told[i], SOL_SOCKET, SO_DOMAIN, &domain, &length);
        is_mute = is_mute && domain != AF_UNIX &&
                  setsockopt(told[i], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
    }
    return is_mute;
}

/* A check is a round trip: where nothing comes back it is not done. No step waits for what does not come. */
void case_mute(const struct conform_subject *subject)
{
    static const enum cp_kind kinds[] = {CP_CHECK, CP_RESET, CP_CLOSE};
    struct stage_connection connection;
    struct stage stage;
    int32_t result;

    stage_open(&stage, subject, NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        stage_must_open(&stage, &connection);
        stage_must(&connection, CP_PREPARE, 0);
        if (!mute(&connection)) {
            stage_destroy(&connection);
            break;
        }
        result =
            stage_is_blocking(&stage, kinds[i]) ? CONNPOOL_STEP_AGAIN : stage_drive_for(&connection, kinds[i], 0, 100);
        CONFORM(kinds[i] != CP_CHECK || !stage_has(&stage, CP_CHECK) || result != CONNPOOL_STEP_DONE,
                "check was done, and nothing had come back from the peer");
        conform_at("destroy of a connection whose peer is silent");
        stage_destroy(&connection);
    }
    stage_close(&stage);
}
