#!/bin/sh
# docs.sh BUILD COMPILER: what the guides show compiles, a page's blocks of C together being one file, and each of their
# blocks of JSON is a right configuration. The samples of conf/ and of the manuals are right too, no link leads nowhere,
# the classes of errors are told by their names, and the man page has today's version.
set -eu
build=$1 compiler=$2
folder=$(mktemp -d /tmp/cp.XXXXXX)
trap 'rm -rf "$folder"' EXIT
failed=0

complain()
{
    echo "$1"
    failed=1
}

check()
{
    "$build/bin/connpool" check --trust-any-owner --plugin-path "$build/lib/connpool" \
        --plugin-path "$build/tests/plugins/examples" "$1" >/dev/null || complain "wrong: $2"
}

for page in docs/*.md; do
    awk '/^```$/ { inside = 0 } inside { print } /^```c$/ { inside = 1 }' "$page" >"$folder/page.c"
    [ ! -s "$folder/page.c" ] ||
        "$compiler" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wno-missing-prototypes -Werror -fsyntax-only \
            -Iinclude "$folder/page.c" || complain "wrong: the C of $page"
    awk -v folder="$folder" -v page="$(basename "$page")" \
        '/^```$/ { inside = 0 } inside { print >(folder "/" page "." number ".json") }
         /^```json$/ { inside = 1; number++ }' "$page"
done
for file in "$folder"/*.json; do
    check "$file" "a configuration of ${file##*/}"
done

# The samples lie beside the files that they name.
mkdir "$folder/conf"
cp conf/*.json "$folder/conf"
rm "$folder/conf/connpool.schema.json" # not a configuration
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=sample -keyout "$folder/conf/ca.key" \
    -out "$folder/conf/ca.pem" 2>/dev/null
(umask 077 && echo secret >"$folder/conf/db.password")
ssh-keygen -q -t ed25519 -N '' -f "$folder/conf/ssh_key"
(umask 022 && echo "example.org $(cat "$folder/conf/ssh_key.pub")" >"$folder/conf/known_hosts")
mkdir -m 700 "$folder/conf/keys"
cp "$folder/conf/ssh_key" "$folder/conf/keys/build"
# So does the pool that each manual begins with.
for page in plugins/*/*.md; do
    awk 'BEGIN { print "{\"pools\": {" }
         /^    "/ && !done { inside = 1 }
         inside && /^$/ { inside = 0; done = 1 }
         inside { print }
         END { print "}}" }' "$page" >"$folder/conf/$(basename "$page").json"
done
for sample in "$folder"/conf/*.json; do
    check "$sample" "a sample, ${sample##*/}"
done

for page in *.md bench/*.md core/*.md docs/*.md examples/*.md plugins/*/*.md tests/*/*.md; do
    grep -oE '\]\([^)#:]*\)' "$page" | sed 's/^](\(.*\))$/\1/' >"$folder/links" || :
    while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || complain "$page: a link leads nowhere: $link"
    done <"$folder/links"
done
# The classes of errors are called as the library calls them, and none is left out.
sed -n '/ class_texts\[\]/,/^};/s/.* = "\(.*\)",/\1/p' core/base/error.c | grep -vx none >"$folder/classes"
[ -s "$folder/classes" ] || complain "core/base/error.c has no classes"
while read -r class; do
    grep -qE "^\|([^|]*,)? $class(,[^|]*)? \|" docs/managers.md || complain "docs/managers.md: no class $class"
done <"$folder/classes"
version=$(sed -n 's/.*define CONNPOOL_VERSION *"\(.*\)"/\1/p' include/connpool/version.h)
grep -q "connpool $version" docs/connpool.1 || complain "docs/connpool.1 is of another version than $version"
exit $failed
