/* SPDX-License-Identifier: MIT */
/* server_folder: a temporary folder of a test's own, for the files and sockets of its servers. */
#ifndef SERVER_FOLDER_H
#define SERVER_FOLDER_H

#define SERVER_PATH_SIZE 80 /* short enough for a Unix socket */

struct server_folder {
    char path[32];
};

/* Make a new empty folder under /tmp that only this user may enter; the test fails where that is not possible. */
void server_folder_init(struct server_folder *folder);
/* Remove it with all that is in it. */
void server_folder_fini(struct server_folder *folder);
/* The path of an entry of that name. */
void server_folder_path(const struct server_folder *folder, const char *name, char path[SERVER_PATH_SIZE]);
/* Write a file of that name, mode 0644; the test fails where that is not possible. */
void server_folder_write(const struct server_folder *folder, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
