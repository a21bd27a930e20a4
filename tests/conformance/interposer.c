/* SPDX-License-Identifier: MIT */
/* interposer: see interposer.h. */
#include "interposer.h"

#include <stdio.h>
#include <unistd.h>

#include "setting.h"

/* Where the subject's real server is, in the proxy's words. */
static void find_target(const struct conform_subject *subject, char *target, size_t size)
{
    json_t *endpoint = setting_endpoint(subject);

    if (subject->port_option != NULL) {
        (void)snprintf(target, size, "127.0.0.1:%d",
                       (int)json_integer_value(json_object_get(endpoint, subject->port_option)));
    } else {
        (void)snprintf(target, size, "%s", json_string_value(json_object_get(endpoint, subject->path_option)));
    }
    json_decref(endpoint);
}

void interposer_start(struct interposer *interposer, const struct conform_subject *subject)
{
    char target[128], path[64];

    if (subject->port_option == NULL && subject->path_option == NULL) {
        conform_skip("the subject does not say which option leads to its server");
    }
    interposer->subject = subject;
    find_target(subject, target, sizeof(target));
    if (subject->port_option != NULL) {
        server_proxy_start(&interposer->proxy, target);
        return;
    }
    (void)snprintf(path, sizeof(path), "@conform-proxy-%d", (int)getpid());
    server_proxy_start_unix(&interposer->proxy, path, target);
}

void interposer_stop(struct interposer *interposer)
{
    server_proxy_stop(&interposer->proxy);
}

json_t *interposer_endpoint(const struct interposer *interposer)
{
    const struct conform_subject *subject = interposer->subject;
    json_t *endpoint = setting_endpoint(subject);

    if (subject->port_option != NULL) {
        (void)json_object_set_new(endpoint, subject->port_option, json_integer(interposer->proxy.listener.port));
    } else {
        (void)json_object_set_new(endpoint, subject->path_option, json_string(interposer->proxy.listener.endpoint));
    }
    return endpoint;
}
