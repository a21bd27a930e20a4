/* SPDX-License-Identifier: MIT */
/* server_postgres: a PostgreSQL cluster of the test's own. */
#include "server_postgres.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_listener.h"
#include "server_process.h"

#define START_ATTEMPTS 5
#define MOST_ARGUMENTS 24
#define OUTPUT_SIZE    (1 << 20) /* what the server may print while nobody reads: /proc/sys/fs/pipe-max-size */

/* ---- Programs ---- */

/* The user that the server's programs run as. */
static const struct passwd *server_user(void)
{
    const struct passwd *user = getpwnam("postgres");

    return user != NULL ? user : getpwnam("nobody");
}

/* The newest of the installed programs of that name. */
static void find_program(const char *name, char *path, size_t size)
{
    char pattern[128];
    glob_t found;

    (void)snprintf(pattern, sizeof(pattern), "/usr/lib/postgresql/*/bin/%s", name);
    if (glob(pattern, 0, NULL, &found) != 0) {
        fail_msg("PostgreSQL's %s is not installed; `./dev build` installs what the tests need", name);
    }
    (void)snprintf(path, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
}

/* Start a program of PostgreSQL as the server's user. arguments: its own, ended by NULL. */
static pid_t start_program(const char *name, const char *const *arguments, int *output)
{
    const char *all[MOST_ARGUMENTS];
    char path[128], user[32], group[32];
    size_t count = 0;

    find_program(name, path, sizeof(path));
    /* Also where the user stays the same: it finds the program by its path. */
    all[count++] = "setpriv";
    all[count++] = "--pdeathsig=KILL";
    if (geteuid() == 0) {
        (void)snprintf(user, sizeof(user), "--reuid=%u", server_user()->pw_uid);
        (void)snprintf(group, sizeof(group), "--regid=%u", server_user()->pw_gid);
        all[count++] = user;
        all[count++] = group;
        all[count++] = "--clear-groups";
    }
    all[count++] = path;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(count + 1 < MOST_ARGUMENTS);
        all[count++] = arguments[i];
    }
    all[count] = NULL;
    return server_process_start(all, output);
}

/* Wait for the end of a program that ends by itself; it must succeed. */
static void finish_program(const char *name, pid_t pid, int output)
{
    char said[2048];
    size_t length = 0;
    ssize_t more;
    int status = 0;

    while ((more = read(output, said + length, sizeof(said) - 1 - length)) > 0) {
        length += (size_t)more;
        if (length == sizeof(said) - 1) {
            length = sizeof(said) / 2;
        }
    }
    said[length] = '\0';
    (void)close(output);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("%s: %s", name, said);
    }
}

static void run_program(const char *name, const char *const *arguments)
{
    int output;
    pid_t pid = start_program(name, arguments, &output);

    finish_program(name, pid, output);
}

/* ---- Files ---- */

static void give_to_server(const char *path, mode_t mode)
{
    assert_int_equal(chmod(path, mode), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, server_user()->pw_uid, server_user()->pw_gid), 0);
    }
}

static void write_file(const struct server_postgres *postgres, const char *name, const char *mode, const char *text)
{
    char path[SERVER_PATH_SIZE + 32];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", postgres->path, name);
    file = fopen(path, mode);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    give_to_server(path, 0600);
}

static void make_folder(struct server_postgres *postgres, const struct server_folder *folder, const char *name)
{
    memset(postgres, 0, sizeof(*postgres));
    postgres->folder = folder;
    (void)snprintf(postgres->name, sizeof(postgres->name), "%s", name);
    server_folder_path(folder, name, postgres->path);
    assert_int_equal(chmod(folder->path, 0711), 0); /* the server's user passes through */
    assert_int_equal(mkdir(postgres->path, 0700), 0);
    give_to_server(postgres->path, 0755);
}

static void make_cluster(const struct server_postgres *postgres)
{
    char data[SERVER_PATH_SIZE + 8];
    const char *const arguments[] = {
        "-D", data,   "-U",       "postgres", "-A", "scram-sha-256", "-N", "--no-instructions", "--locale=C",
        "-E", "UTF8", "--pwfile", NULL,       NULL};
    char password[SERVER_PATH_SIZE + 16];
    const char *all[sizeof(arguments) / sizeof(arguments[0])];

    memcpy(all, arguments, sizeof(arguments));
    (void)snprintf(data, sizeof(data), "%s/data", postgres->path);
    (void)snprintf(password, sizeof(password), "%s/password", postgres->path);
    all[sizeof(arguments) / sizeof(arguments[0]) - 2] = password;
    write_file(postgres, "password", "we", "superuser-secret\n");
    run_program("initdb", all);
    write_file(postgres, "data/pg_hba.conf", "we",
               "local all postgres trust\n"
               "local replication postgres trust\n"
               "local all all scram-sha-256\n"
               "host all all 127.0.0.1/32 scram-sha-256\n"
               "host all all ::1/128 scram-sha-256\n");
}

/* The last of equal settings wins, so a standby's come after those it was copied with. */
static void configure(const struct server_postgres *postgres, const char *settings)
{
    char text[2048];

    (void)snprintf(text, sizeof(text),
                   "port = %u\n"
                   "listen_addresses = '127.0.0.1,::1'\n"
                   "unix_socket_directories = '%s'\n"
                   "fsync = off\n"
                   "full_page_writes = off\n"
                   "synchronous_commit = off\n"
                   "shared_buffers = 2MB\n"
                   "max_wal_size = 32MB\n"
                   "min_wal_size = 32MB\n"
                   "dynamic_shared_memory_type = mmap\n"
                   "autovacuum = off\n"
                   "wal_retrieve_retry_interval = 50ms\n"
                   "log_min_messages = error\n"
                   "log_min_error_statement = panic\n"
                   "%s",
                   postgres->port, postgres->path, settings != NULL ? settings : "");
    write_file(postgres, "data/postgresql.conf", "ae", text);
}

/* ---- Certificates ---- */

static void run_openssl(const char *const *arguments)
{
    int output;
    pid_t pid = server_process_start(arguments, &output);

    finish_program("openssl", pid, output);
}

/* An authority, and a server's certificate that it signed. */
static void make_certificates(struct server_postgres *postgres)
{
    char authority_key[SERVER_PATH_SIZE + 16], key[SERVER_PATH_SIZE + 16], certificate[SERVER_PATH_SIZE + 16];
    const char *const make_authority[] = {"openssl",
                                          "req",
                                          "-x509",
                                          "-newkey",
                                          "ec",
                                          "-pkeyopt",
                                          "ec_paramgen_curve:P-256",
                                          "-nodes",
                                          "-days",
                                          "2",
                                          "-subj",
                                          "/CN=connpool test authority",
                                          "-keyout",
                                          authority_key,
                                          "-out",
                                          postgres->authority,
                                          NULL};
    const char *const make_server[] = {"openssl",
                                       "req",
                                       "-x509",
                                       "-newkey",
                                       "ec",
                                       "-pkeyopt",
                                       "ec_paramgen_curve:P-256",
                                       "-nodes",
                                       "-days",
                                       "2",
                                       "-subj",
                                       "/CN=localhost",
                                       "-addext",
                                       "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1",
                                       "-addext",
                                       "basicConstraints=critical,CA:FALSE",
                                       "-CA",
                                       postgres->authority,
                                       "-CAkey",
                                       authority_key,
                                       "-keyout",
                                       key,
                                       "-out",
                                       certificate,
                                       NULL};

    (void)snprintf(postgres->authority, sizeof(postgres->authority), "%s/ca.crt", postgres->path);
    (void)snprintf(authority_key, sizeof(authority_key), "%s/ca.key", postgres->path);
    (void)snprintf(key, sizeof(key), "%s/data/server.key", postgres->path);
    (void)snprintf(certificate, sizeof(certificate), "%s/data/server.crt", postgres->path);
    run_openssl(make_authority);
    run_openssl(make_server);
    give_to_server(key, 0600);
    give_to_server(certificate, 0644);
}

/* ---- Running ---- */

/* The server would wait for whoever reads what it prints. */
static void drain(const struct server_postgres *postgres)
{
    char unused[4096];
    int flags = fcntl(postgres->output, F_GETFL);

    (void)fcntl(postgres->output, F_SETFL, flags | O_NONBLOCK);
    while (read(postgres->output, unused, sizeof(unused)) > 0) {
    }
    (void)fcntl(postgres->output, F_SETFL, flags);
}

static void wait_for_end(struct server_postgres *postgres)
{
    while (waitpid(postgres->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    (void)close(postgres->output);
    postgres->pid = 0;
}

static bool launch(struct server_postgres *postgres)
{
    char data[SERVER_PATH_SIZE + 8];
    const char *const arguments[] = {"-D", data, NULL};

    (void)snprintf(data, sizeof(data), "%s/data", postgres->path);
    postgres->pid = start_program("postgres", arguments, &postgres->output);
    (void)fcntl(postgres->output, F_SETPIPE_SZ, OUTPUT_SIZE);
    if (server_process_says(postgres->output, "ready to accept")) { /* "connections", or "read-only connections" */
        return true;
    }
    wait_for_end(postgres);
    return false;
}

static void launch_at_free_port(struct server_postgres *postgres, const char *settings)
{
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        postgres->port = server_listener_random_port(); /* it ends where that is taken */
        configure(postgres, settings);
        if (launch(postgres)) {
            return;
        }
    }
    fail_msg("PostgreSQL does not start");
}

static void make_roles(const struct server_postgres *postgres)
{
    char database[64] = "postgres";
    PGconn *connection;
    char port[8];
    const char *const keywords[] = {"host", "port", "user", "dbname", NULL};
    const char *const values[] = {postgres->path, port, "postgres", database, NULL};
    static const char *const statements[] = {"CREATE ROLE app LOGIN PASSWORD '" SERVER_POSTGRES_PASSWORD "'",
                                             "CREATE DATABASE app OWNER app STRATEGY file_copy"};

    (void)snprintf(port, sizeof(port), "%u", postgres->port);
    connection = PQconnectdbParams(keywords, values, 0);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        PGresult *result = PQexec(connection, statements[i]);

        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            fail_msg("%s: %s", statements[i], PQerrorMessage(connection));
        }
        PQclear(result);
    }
    PQfinish(connection);
}

void server_postgres_start(struct server_postgres *postgres, const struct server_folder *folder, const char *name,
                           const char *settings)
{
    make_folder(postgres, folder, name);
    make_cluster(postgres);
    launch_at_free_port(postgres, settings);
    make_roles(postgres);
}

void server_postgres_start_tls(struct server_postgres *postgres, const struct server_folder *folder, const char *name,
                               const char *settings)
{
    char all[1024];

    make_folder(postgres, folder, name);
    make_cluster(postgres);
    make_certificates(postgres);
    (void)snprintf(all, sizeof(all), "ssl = on\nssl_ca_file = '%s'\n%s", postgres->authority,
                   settings != NULL ? settings : "");
    launch_at_free_port(postgres, all);
    make_roles(postgres);
}

void server_postgres_start_standby(struct server_postgres *standby, const struct server_postgres *primary,
                                   const char *name)
{
    char data[SERVER_PATH_SIZE + 8], port[8];
    const char *const arguments[] = {"-D", data, "-h",     primary->path, "-p",   port, "-U", "postgres",
                                     "-R", "-X", "stream", "-c",          "fast", "-N", NULL};

    make_folder(standby, primary->folder, name);
    (void)snprintf(data, sizeof(data), "%s/data", standby->path);
    (void)snprintf(port, sizeof(port), "%u", primary->port);
    run_program("pg_basebackup", arguments);
    launch_at_free_port(standby, NULL);
}

void server_postgres_stop(struct server_postgres *postgres, enum server_postgres_stop how)
{
    if (postgres->pid == 0) {
        return;
    }
    drain(postgres);
    (void)kill(postgres->pid, how == SERVER_POSTGRES_FAST ? SIGINT : SIGQUIT);
    wait_for_end(postgres);
}

void server_postgres_restart(struct server_postgres *postgres, enum server_postgres_stop how)
{
    server_postgres_stop(postgres, how);
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        if (launch(postgres)) {
            return;
        }
    }
    fail_msg("PostgreSQL does not start again");
}

void server_postgres_promote(struct server_postgres *standby)
{
    server_postgres_run(standby, "SELECT pg_promote()", NULL, 0);
}

/* ---- Questions ---- */

void server_postgres_run(const struct server_postgres *postgres, const char *sql, char *value, size_t size)
{
    char port[8];
    const char *const keywords[] = {"host", "port", "user", "dbname", NULL};
    const char *const values[] = {postgres->path, port, "postgres", "app", NULL};
    PGconn *connection;
    PGresult *result;

    (void)snprintf(port, sizeof(port), "%u", postgres->port);
    drain(postgres);
    connection = PQconnectdbParams(keywords, values, 0);
    result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    }
    if (value != NULL) {
        (void)snprintf(value, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    }
    PQclear(result);
    PQfinish(connection);
}

long server_postgres_number(const struct server_postgres *postgres, const char *sql)
{
    char value[32];

    server_postgres_run(postgres, sql, value, sizeof(value));
    return strtol(value, NULL, 10);
}
