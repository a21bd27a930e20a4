#!/bin/sh
# rooms.sh TREE: the rooms of core/ stand in the order of core/README.md: no file includes a header of a room that comes
# after its own, and a header of the library is included by its room's name.
set -eu
cd "$1/core"
failed=0
# shellcheck disable=SC2016 # marks of Markdown
rooms=$(sed -n 's/^| `\([a-z]*\)\/` |.*/\1/p' README.md)
[ "$(echo "$rooms" | sort)" = "$(find . -mindepth 1 -type d | sed 's/^\.\///' | sort)" ] || {
    echo "core/README.md has other rooms than core/"
    failed=1
}
later=$rooms
for room in $rooms; do
    later=$(echo "$later" | sed 1d)
    for other in $later; do
        grep -n "^#include \"$other/" "$room"/*.[ch] && failed=1
    done
    grep -n '^#include "[a-z_]*\.h"' "$room"/*.[ch] && failed=1
done
exit $failed
