#!/bin/sh
# options.sh BUILD [write]: each manager has a manual, docs/managers.md leads to it, and its section between the two marks
# is what the plugin's own table says; conf/connpool.schema.json is what all their tables say, and accepts the samples
# beside it. With `write` (`./dev docs`) both are made so.
set -eu
build=$1 is_writing=${2-}
folder=$(mktemp -d /tmp/cp.XXXXXX)
trap 'rm -rf "$folder"' EXIT
failed=0
begin='<!-- options: made by ./dev docs -->' end='<!-- end of options -->'

complain()
{
    echo "$1"
    failed=1
}

for plugin in "$build"/lib/connpool/connpool_*.so; do
    name=${plugin##*/connpool_}
    name=${name%.so}
    manual=plugins/$name/$name.md
    [ -e "$manual" ] || { complain "$manual is missing"; continue; }
    grep -qF "(../$manual)" docs/managers.md || complain "docs/managers.md has no link to $manual"
    for mark in "$begin" "$end"; do
        [ "$(grep -cxF -e "$mark" "$manual")" -eq 1 ] || complain "$manual: this line is to stand there once: $mark"
    done
    "$build/bin/connpool" describe "$name" --markdown --trust-any-owner --plugin-path "$build/lib/connpool" \
        >"$folder/table"
    awk -v begin="$begin" -v end="$end" -v table="$folder/table" '
        $0 == end { inside = 0 }
        !inside { print }
        $0 == begin { inside = 1; while ((getline line <table) > 0) print line }' "$manual" >"$folder/manual"
    cmp -s "$manual" "$folder/manual" && continue
    if [ "$is_writing" = write ]; then
        cp "$folder/manual" "$manual"
    else
        diff -u "$manual" "$folder/manual" || complain "$manual: its options are not those of the plugin: ./dev docs"
    fi
done

# The schema of configurations with the managers of the tree.
schema=conf/connpool.schema.json
managers=$(for plugin in "$build"/lib/connpool/connpool_*.so; do basename "$plugin" .so | sed 's/^connpool_//'; done)
# shellcheck disable=SC2086 # a list
"$build/bin/connpool" schema $managers --trust-any-owner --plugin-path "$build/lib/connpool" >"$folder/schema"
if [ "$is_writing" = write ]; then
    cp "$folder/schema" "$schema"
fi
cmp -s "$folder/schema" "$schema" || complain "$schema: it is not that of the managers: ./dev docs"
/usr/bin/python3 -I tests/config/validate.py "$folder/schema" conf/*.json >"$folder/found"
grep -v '^valid ' "$folder/found" | grep -v "^invalid $schema:" && complain "the schema refuses a sample of conf/"
exit $failed
