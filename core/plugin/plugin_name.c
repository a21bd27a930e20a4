/* SPDX-License-Identifier: MIT */
/* plugin_name: see plugin_name.h. */
#include "plugin/plugin_name.h"

#include <string.h>

#define PREFIX "connpool_"
#define SUFFIX ".so"

static bool is_lower(char character)
{
    return character >= 'a' && character <= 'z';
}

bool cp_plugin_name_valid(const char *name)
{
    if (name == NULL || !is_lower(name[0])) {
        return false;
    }
    for (size_t i = 1; i < CP_PLUGIN_NAME_SIZE; i++) {
        if (name[i] == '\0') {
            return true;
        }
        if (!is_lower(name[i]) && !(name[i] >= '0' && name[i] <= '9') && name[i] != '-') {
            return false;
        }
    }
    return false;
}

bool cp_plugin_name_of_file(const char *file, char name[CP_PLUGIN_NAME_SIZE])
{
    size_t length = strlen(file);
    size_t around = strlen(PREFIX) + strlen(SUFFIX);
    if (length <= around || length - around >= CP_PLUGIN_NAME_SIZE || strncmp(file, PREFIX, strlen(PREFIX)) != 0 ||
        strcmp(file + length - strlen(SUFFIX), SUFFIX) != 0) {
        return false;
    }
    memcpy(name, file + strlen(PREFIX), length - around);
    name[length - around] = '\0';
    return cp_plugin_name_valid(name);
}
