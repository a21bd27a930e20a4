/* SPDX-License-Identifier: MIT */
/* every_option: a manager with an option of each type and level, to be registered from code. It opens nothing. Its
 * endpoints at run time are "host" and "host:port"; after a "!", "option=value" is passed on as it is. */
#ifndef KIT_EVERY_OPTION_H
#define KIT_EVERY_OPTION_H

#include <connpool/manager.h>

struct every_options {
    const char *host;
    int64_t port;
    int64_t any_integer;
    double ratio;
    int32_t verify;
    int32_t mode;
    int64_t patience;
    int64_t buffer;
    const char *certificate;
    struct connpool_list tags;
    const char *password;
    struct connpool_map keywords;
    const char *authority;
    const char *shared_note;
    const char *note;
};

extern const struct connpool_manager every_option_manager;
/* The same without parse_endpoint: named endpoints only. Called "named". */
extern const struct connpool_manager named_only_manager;
/* No options and no endpoints at run time. Called "bare". */
extern const struct connpool_manager bare_manager;

#endif
