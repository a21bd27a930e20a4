/* SPDX-License-Identifier: MIT */
/* server_sshd: an OpenSSH server of the test's own. That it is ready it tells by its pid file. */
#include "server_sshd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_listener.h"
#include "server_process.h"

#define START_ATTEMPTS    5
#define READY_LIMIT_MS    5000
#define PROCESSES_MAXIMUM 1024
#define UNPRIVILEGED      "nobody"

/* crypt(3) of SERVER_SSHD_PASSWORD: `openssl passwd -6 -salt connpool 'correct horse'`. */
#define PASSWORD_HASH                                                                                                  \
    "$6$connpool$4H.7KxjsKwriwu2j0uD6G4K0uPjhSwKlqwTlOQ2zrtdTT9oZlBXhibj11l7JfcHKeVgrT5hZ4AyigfMGbfie11"

struct account {
    uid_t user;
    gid_t group;
};

/* Who the server runs as. */
static struct account server_account(void)
{
    const struct passwd *unprivileged;

    if (geteuid() != 0) {
        return (struct account){.user = geteuid(), .group = getegid()};
    }
    unprivileged = getpwnam(UNPRIVILEGED);
    assert_non_null(unprivileged);
    return (struct account){.user = unprivileged->pw_uid, .group = unprivileged->pw_gid};
}

static void give_to_server(const struct server_folder *folder, const char *name)
{
    struct account account = server_account();
    char path[SERVER_PATH_SIZE];

    server_folder_path(folder, name, path);
    assert_int_equal(chown(path, account.user, account.group), 0);
}

void server_sshd_give(const struct server_sshd *sshd, const char *name)
{
    give_to_server(sshd->folder, name);
}

void server_sshd_make_key(const struct server_folder *folder, const char *name, const char *type, unsigned bits,
                          const char *passphrase)
{
    char path[SERVER_PATH_SIZE];
    char bits_text[16];
    const char *arguments[] = {"ssh-keygen", "-q", "-t", type, "-N",      passphrase, "-C",
                               "",           "-f", path, "-b", bits_text, NULL};
    int status = 0;
    int output;
    pid_t pid;

    server_folder_path(folder, name, path);
    (void)snprintf(bits_text, sizeof(bits_text), "%u", bits);
    if (bits == 0) {
        arguments[10] = NULL;
    }
    pid = server_process_start(arguments, &output);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(output);
    assert_int_equal(status, 0);
}

/* The first two words of a public key's file: kind and key. */
static void read_public_key(const struct server_folder *folder, const char *name, char *text, size_t size)
{
    char file_name[SERVER_PATH_SIZE];
    char path[SERVER_PATH_SIZE];
    FILE *file;

    (void)snprintf(file_name, sizeof(file_name), "%s.pub", name);
    server_folder_path(folder, file_name, path);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, (int)size, file));
    (void)fclose(file);
    text[strcspn(text, "\n")] = '\0';
}

void server_sshd_accept_key(const struct server_sshd *sshd, const char *name)
{
    char path[SERVER_PATH_SIZE];
    char key[2048];
    FILE *file;

    read_public_key(sshd->folder, name, key, sizeof(key));
    server_folder_path(sshd->folder, "sshd/authorized_keys", path);
    file = fopen(path, "ae");
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", key) > 0);
    assert_int_equal(fclose(file), 0);
}

static void make_host_key(const struct server_folder *folder, const char *name, const char *type)
{
    server_sshd_make_key(folder, name, type, 0, "");
    give_to_server(folder, name);
}

static void make_home(struct server_sshd *sshd)
{
    struct account account = server_account();
    char path[SERVER_PATH_SIZE];

    assert_int_equal(chmod(sshd->folder->path, S_IRWXU | S_IXGRP | S_IXOTH), 0);
    server_folder_path(sshd->folder, "sshd", path);
    assert_int_equal(mkdir(path, S_IRWXU), 0);
    give_to_server(sshd->folder, "sshd");
    server_folder_write(sshd->folder, "sshd/passwd", "%s:%s:%u:%u::%s:/bin/sh\n", SERVER_SSHD_USER, PASSWORD_HASH,
                        account.user, account.group, path);
    server_folder_write(sshd->folder, "sshd/group", "%s:x:%u:\n", SERVER_SSHD_USER, account.group);
    give_to_server(sshd->folder, "sshd/passwd");
    give_to_server(sshd->folder, "sshd/group");
    make_host_key(sshd->folder, "sshd/host_ed25519", "ed25519");
    make_host_key(sshd->folder, "sshd/host_ecdsa", "ecdsa");
    server_sshd_make_key(sshd->folder, "user_ed25519", "ed25519", 0, "");
    server_folder_path(sshd->folder, "user_ed25519", sshd->private_key);
    server_sshd_accept_key(sshd, "user_ed25519");
    give_to_server(sshd->folder, "sshd/authorized_keys");
}

static void write_known_hosts(struct server_sshd *sshd)
{
    char ed25519[256];
    char ecdsa[512];

    read_public_key(sshd->folder, "sshd/host_ed25519", ed25519, sizeof(ed25519));
    read_public_key(sshd->folder, "sshd/host_ecdsa", ecdsa, sizeof(ecdsa));
    server_folder_write(sshd->folder, "known_hosts", "[127.0.0.1]:%u %s\n[127.0.0.1]:%u %s\n", sshd->port, ed25519,
                        sshd->port, ecdsa);
    server_folder_path(sshd->folder, "known_hosts", sshd->known_hosts);
}

static void write_configuration(const struct server_sshd *sshd, const char *configuration)
{
    const char *home = sshd->folder->path;
    char host_keys[2 * SERVER_PATH_SIZE] = "";

    if (strstr(configuration, "HostKey ") == NULL) {
        (void)snprintf(host_keys, sizeof(host_keys), "HostKey %s/sshd/host_ed25519\nHostKey %s/sshd/host_ecdsa\n", home,
                       home);
    }
    server_folder_write(sshd->folder, "sshd/sshd_config",
                        "%s"
                        "ListenAddress 127.0.0.1\n"
                        "Port %u\n"
                        "%s"
                        "AuthorizedKeysFile %s/sshd/authorized_keys\n"
                        "PidFile %s/sshd/pid\n"
                        "StrictModes no\n"
                        "UsePAM no\n"
                        "UseDNS no\n"
                        "%s"
                        "PrintMotd no\n"
                        "Subsystem sftp internal-sftp\n",
                        configuration, sshd->port, host_keys, home, home,
                        /* Of this the last line wins. */
                        strstr(configuration, "MaxStartups ") == NULL ? "MaxStartups 500\n" : "");
    give_to_server(sshd->folder, "sshd/sshd_config");
}

static int watch_home(const struct server_sshd *sshd)
{
    int watch = inotify_init1(IN_CLOEXEC);
    char path[SERVER_PATH_SIZE];

    server_folder_path(sshd->folder, "sshd", path);
    assert_true(watch >= 0);
    assert_true(inotify_add_watch(watch, path, IN_CLOSE_WRITE) >= 0);
    return watch;
}

static bool has_pid_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && status.st_size > 0;
}

/* Wait until it has written its pid file, which it does when it listens; false: it ended first. */
static bool becomes_ready(const struct server_sshd *sshd, int watch, const char *pid_file)
{
    struct pollfd ends[] = {{.fd = watch, .events = POLLIN}, {.fd = pidfd_open(sshd->pid, 0), .events = POLLIN}};
    char events[4096];

    assert_true(ends[1].fd >= 0);
    while (!has_pid_file(pid_file) && ends[1].revents == 0) {
        assert_true(poll(ends, 2, READY_LIMIT_MS) > 0);
        if (ends[0].revents != 0) {
            assert_true(read(watch, events, sizeof(events)) > 0);
        }
    }
    (void)close(ends[1].fd);
    return has_pid_file(pid_file);
}

static bool launch(struct server_sshd *sshd)
{
    struct account account = server_account();
    char user[32];
    char group[32];
    char passwd[128];
    char groups[128];
    char pid_file[SERVER_PATH_SIZE];
    char log_file[SERVER_PATH_SIZE];
    char configuration[SERVER_PATH_SIZE];
    bool is_ready;
    int watch;
    const char *arguments[] = {"setpriv",
                               user,
                               group,
                               "--clear-groups",
                               "--pdeathsig",
                               "KILL",
                               "env",
                               "LD_PRELOAD=libnss_wrapper.so",
                               passwd,
                               groups,
                               "/usr/sbin/sshd",
                               "-D",
                               "-E",
                               log_file,
                               "-f",
                               configuration,
                               NULL};

    (void)snprintf(user, sizeof(user), "--reuid=%u", account.user);
    (void)snprintf(group, sizeof(group), "--regid=%u", account.group);
    (void)snprintf(passwd, sizeof(passwd), "NSS_WRAPPER_PASSWD=%s/sshd/passwd", sshd->folder->path);
    (void)snprintf(groups, sizeof(groups), "NSS_WRAPPER_GROUP=%s/sshd/group", sshd->folder->path);
    server_folder_path(sshd->folder, "sshd/pid", pid_file);
    server_folder_path(sshd->folder, "sshd/log", log_file);
    server_folder_path(sshd->folder, "sshd/sshd_config", configuration);
    (void)unlink(pid_file);
    watch = watch_home(sshd);
    if (geteuid() != 0) {
        sshd->pid = server_process_start(arguments + 6, &sshd->output); /* `env` and what follows */
    } else {
        sshd->pid = server_process_start(arguments, &sshd->output);
    }
    is_ready = becomes_ready(sshd, watch, pid_file);
    (void)close(watch);
    if (!is_ready) {
        server_sshd_kill(sshd);
    }
    return is_ready;
}

static void print_log(const struct server_sshd *sshd)
{
    char path[SERVER_PATH_SIZE];
    char line[256];
    FILE *file;

    server_folder_path(sshd->folder, "sshd/log", path);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        print_error("sshd: %s", line);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

void server_sshd_start(struct server_sshd *sshd, const struct server_folder *folder, const char *configuration)
{
    *sshd = (struct server_sshd){.folder = folder};
    make_home(sshd);
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        sshd->port = server_listener_random_port(); /* sshd ends where it is taken */
        write_configuration(sshd, configuration);
        if (launch(sshd)) {
            (void)snprintf(sshd->endpoint, sizeof(sshd->endpoint), "127.0.0.1:%u", sshd->port);
            write_known_hosts(sshd);
            return;
        }
    }
    print_log(sshd);
    fail_msg("sshd does not start");
}

void server_sshd_restart(struct server_sshd *sshd, const char *configuration)
{
    write_configuration(sshd, configuration);
    if (sshd->pid != 0) {
        server_process_end(&sshd->pid, &sshd->output);
    }
    if (!launch(sshd)) {
        print_log(sshd);
        fail_msg("sshd does not start again");
    }
}

/* ---- The processes of its connections: sshd forks one for each, and those fork others */

struct processes {
    pid_t pids[PROCESSES_MAXIMUM];
    size_t count;
};

/* What /proc says of a process: its state, and its parent; 0: it is gone. */
static pid_t look_at(const char *pid, char *process_state)
{
    char path[300];
    char text[512] = "";
    const char *end;
    int parent = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    if (fgets(text, sizeof(text), file) == NULL) {
        text[0] = '\0'; /* it has ended */
    }
    (void)fclose(file);
    end = strrchr(text, ')');
    return end != NULL && sscanf(end + 1, " %c %d", process_state, &parent) == 2 ? parent : 0;
}

static pid_t parent_of(const char *pid)
{
    char process_state;

    return look_at(pid, &process_state);
}

static void add_children(struct processes *processes, pid_t of)
{
    DIR *folder = opendir("/proc");

    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == of) {
            assert_true(processes->count < PROCESSES_MAXIMUM);
            processes->pids[processes->count++] = (pid_t)strtol(entry->d_name, NULL, 10);
        }
    }
    (void)closedir(folder);
}

static void find_descendants(const struct server_sshd *sshd, struct processes *processes)
{
    processes->count = 0;
    add_children(processes, sshd->pid);
    for (size_t i = 0; i < processes->count; i++) {
        add_children(processes, processes->pids[i]);
    }
}

static bool is_running(pid_t pid)
{
    char text[16];
    char process_state = 'T';

    (void)snprintf(text, sizeof(text), "%d", pid);
    return look_at(text, &process_state) != 0 && process_state != 'T' && process_state != 'Z';
}

/* Stop it; a stop comes some time after its signal. Whether it was running. */
static bool stop(pid_t pid)
{
    bool was_running = is_running(pid);

    if (was_running) {
        (void)kill(pid, SIGSTOP);
    }
    while (is_running(pid)) {
        (void)sched_yield();
    }
    return was_running;
}

/* Stop the processes of its connections. One that runs may fork another behind our back, one that is stopped may not.
 */
static void stop_sessions(const struct server_sshd *sshd, struct processes *processes)
{
    bool was_running;

    do {
        was_running = false;
        find_descendants(sshd, processes);
        for (size_t i = 0; i < processes->count; i++) {
            was_running = stop(processes->pids[i]) || was_running;
        }
    } while (was_running);
}

void server_sshd_stop(const struct server_sshd *sshd)
{
    struct processes processes;

    (void)stop(sshd->pid);
    stop_sessions(sshd, &processes);
}

void server_sshd_continue(const struct server_sshd *sshd)
{
    struct processes processes;

    find_descendants(sshd, &processes);
    for (size_t i = 0; i < processes.count; i++) {
        (void)kill(processes.pids[i], SIGCONT);
    }
    (void)kill(sshd->pid, SIGCONT);
}

/* Processes that are not the test's own children are gone when their descriptors say so. */
void server_sshd_kill_sessions(const struct server_sshd *sshd)
{
    struct processes processes;

    stop_sessions(sshd, &processes);
    for (size_t i = 0; i < processes.count; i++) {
        struct pollfd end = {.fd = pidfd_open(processes.pids[i], 0), .events = POLLIN};

        if (end.fd >= 0) {
            (void)kill(processes.pids[i], SIGKILL);
            assert_int_equal(poll(&end, 1, READY_LIMIT_MS), 1);
            (void)close(end.fd);
        }
    }
}

unsigned server_sshd_sessions(const struct server_sshd *sshd)
{
    struct processes processes = {.count = 0};

    add_children(&processes, sshd->pid);
    return (unsigned)processes.count;
}

void server_sshd_kill(struct server_sshd *sshd)
{
    if (sshd->pid != 0) {
        (void)stop(sshd->pid); /* so that it starts nothing while its processes are found */
        server_sshd_kill_sessions(sshd);
        server_process_end(&sshd->pid, &sshd->output);
    }
}
