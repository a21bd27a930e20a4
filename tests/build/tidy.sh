#!/bin/sh
# tidy.sh TREE CLANG_TIDY FLAG…: clang-tidy, with the checks of .clang-tidy, over the library, the plugins and the command,
# one process for each processor. The flags are those that the sources need to be parsed.
set -eu
tree=$1 tidy=$2
shift 2
cd "$tree"
find core plugins cli -name '*.c' -print0 | xargs -0 -P "$(nproc)" -I '{}' "$tidy" --quiet '{}' -- "$@"
