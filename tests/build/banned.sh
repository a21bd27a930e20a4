#!/bin/sh
# banned.sh TREE: no call of a function that this project does without (failures.md 3.5) in the library, the plugins and
# the command; no test sleeps.
set -eu
cd "$1"

# Unbounded or truncating text, results that hide errors, races with the file system, process-wide state, waits outside
# a driver.
unsafe='sprintf|vsprintf|strcpy|strncpy|strcat|strncat|gets|strtok|atoi|atol|atoll|atof|access|select|signal|alarm|setenv|putenv|unsetenv|alloca'
sleeps='sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep'
# Memory that is not taken through core/base/memory.h, which tests can make fail, or for libssh2 by its own allocator.
memory='malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign'
# What ends or talks past the application.
process='abort|exit|_exit|quick_exit|printf|vprintf|puts|putchar|perror'

# calls NAMES FILE…: prints file:line: text of each call of one of the names, comments left out.
calls()
{
    names=$1
    shift
    for file in "$@"; do
        awk '{
            out = ""
            for (rest = $0; rest != "";) {
                if (inside) {
                    end = index(rest, "*/")
                    if (!end) break
                    rest = substr(rest, end + 2)
                    inside = 0
                } else {
                    start = index(rest, "/*")
                    out = out (start ? substr(rest, 1, start - 1) : rest)
                    rest = start ? substr(rest, start + 2) : ""
                    inside = start > 0
                }
            }
            print out
        }' "$file" | grep -nE "(^|[^A-Za-z0-9_.>\"])($names) *\(" | sed "s,^,$file:," || true
    done
}

sources() { find "$@" -name '*.[ch]' | sort; }

# shellcheck disable=SC2046 # no file of this tree has a space in its name
found=$(
    calls "$unsafe|$sleeps" $(sources core plugins cli)
    calls "$memory" $(sources core plugins cli | grep -vE '^(core/base/memory|plugins/ssh/ssh_memory)\.c$')
    calls "$process" $(sources core plugins)
    calls "$sleeps" $(sources tests)
)
[ -z "$found" ] || { printf 'banned calls:\n%s\n' "$found"; exit 1; }
