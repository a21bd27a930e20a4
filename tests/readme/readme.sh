#!/bin/sh
# readme.sh BUILD ENDPOINT: what the README shows is true: each block that is a file is that file, and the commands
# between them compile and run, in an empty folder, on what is installed, with ENDPOINT (a web server) in place of
# example.org:80. No block is left out. Last come the commands of examples/README.md.
set -eu
build=$1 endpoint=$2 tree=$PWD
folder=$(mktemp -d /tmp/cp.XXXXXX)
trap 'rm -rf "$folder"' EXIT
umask 002 # as some have it: what a group may write is not loaded
readme=$tree/README.md

block() { awk -f "$tree/tests/readme/block.awk" -v name="$1" -v index_wanted="$2" "$readme"; }

fail()
{
    echo "$1"
    exit 1
}

# Each fence that opens a block has its name in the line before.
named=$(grep -cE '^<!-- .* -->$' "$readme")
fences=$(grep -cE '^```' "$readme")
[ $((named * 2)) -eq "$fences" ] || fail "$named names for $fences fences"

mkdir -m 755 "$folder/work"
sed -n 's/^<!-- \(.*\/.*\) -->$/\1/p' "$readme" >"$folder/files"
while read -r file; do
    block "$file" 1 >"$folder/shown"
    diff -u "$tree/$file" "$folder/shown" || fail "the README shows another $file than the tree has"
    cp "$tree/$file" "$folder/work"
done <"$folder/files"

cp -r examples/*.c examples/https_many "$folder/work"
cmake --install "$build" --prefix "$folder/root" >"$folder/log" || fail "$(cat "$folder/log")"
PKG_CONFIG_PATH=$(dirname "$(find "$folder/root" -name connpool.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
# The reader's compiler, but what it warns of is wrong.
printf '#!/bin/sh\nPATH="%s" exec cc -Wall -Wextra -Werror "$@"\n' "$PATH" >"$folder/root/bin/cc"
chmod 755 "$folder/root/bin/cc"
PATH=$folder/root/bin:$PATH
export PKG_CONFIG_PATH LD_LIBRARY_PATH PATH

cd "$folder/work"
runs=$(grep -c '^<!-- run -->$' "$readme")
for index in $(seq "$runs") examples; do
    case $index in
    examples) awk -f "$tree/tests/readme/block.awk" -v name=run -v index_wanted=1 "$tree/examples/README.md" ;;
    *) block run "$index" ;;
    esac | sed "s/example\.org:80/$endpoint/g" >"$folder/commands"
    sh -eux "$folder/commands" >"$folder/said" 2>&1 || fail "$(cat "$folder/said")"
    cat "$folder/said" >>"$folder/all"
done

for line in \
    '^HTTP/1.1 200 OK: connection 1, use 3$' \
    '"manager": "tcp"' \
    "^web/$endpoint  $endpoint\$" \
    '^postgres [0-9.]+: ' \
    '^device 1.0: open device files$' \
    '^random/kernel$' \
    '^  errors             0$'; do
    grep -qE -- "$line" "$folder/all" || fail "this was not said: $line
$(cat "$folder/all")"
done
