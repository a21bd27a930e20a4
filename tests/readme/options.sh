#!/bin/sh
# options.sh BUILD [write]: each manager has a manual, docs/managers.md leads to it, and its section between the two marks
# is what the plugin's own table says. With `write` (`./dev docs`) it is made so.
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
exit $failed
