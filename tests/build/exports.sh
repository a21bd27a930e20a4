#!/bin/sh
# exports.sh TREE NM LIBRARY PLUGIN…: what libconnpool exports, what its version script lists, and what the public headers
# declare CONNPOOL_API are the same names, all of one version, and it lacks nothing of its own; each plugin exports
# connpool_manager and nothing else.
set -eu
tree=$1 nm=$2 library=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$nm" -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sed 's/@@CONNPOOL_0\.1$//' | sort >"$folder/exported"
grep -oE '^ +connpool_[a-z0-9_]+;' "$tree/core/libconnpool.map" | tr -d ' ;' | sort >"$folder/listed"
# Comments and preprocessor lines out, one line for all, then the first called name after each CONNPOOL_API.
cat "$tree"/include/connpool/*.h | grep -v '^ *#' | tr '\n' ' ' | sed 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/,,g' |
    grep -oE 'CONNPOOL_API [^(]*\(' | grep -oE 'connpool_[a-z0-9_]+ *\(' | tr -d ' (' | sort >"$folder/declared"

failed=0
test -s "$folder/exported" || { echo "$library exports nothing"; failed=1; }
for other in listed declared; do
    if ! diff "$folder/exported" "$folder/$other" >"$folder/difference"; then
        echo "exported by libconnpool (<) against $other (>):"
        cat "$folder/difference"
        failed=1
    fi
done

lacks=$("$nm" -D --undefined-only "$library" | grep -oE '(cp|connpool)_[a-z0-9_]+' | tr '\n' ' ' || true)
[ -z "$lacks" ] || { echo "$library lacks: $lacks"; failed=1; }

for plugin in "$@"; do
    names=$("$nm" -D --defined-only "$plugin" | awk '{print $3}')
    if [ "$names" != connpool_manager ]; then
        echo "$plugin exports [$(echo "$names" | tr '\n' ' ')], expected connpool_manager alone"
        failed=1
    fi
done
exit $failed
