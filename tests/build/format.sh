#!/bin/sh
# format.sh TREE CLANG_FORMAT [-i]: every source is laid out as .clang-format says; -i makes it so.
set -eu
cd "$1"
action='--dry-run -Werror'
[ "${3-}" != -i ] || action=-i
# shellcheck disable=SC2086 # two words
find . -path ./build -prune -o -name '*.[ch]' -print0 | xargs -0 "$2" --style=file $action
