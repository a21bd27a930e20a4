#!/bin/sh
# demo.sh BUILD: the demo ends well, shows what it promises, recovers, and leaves nothing behind, also when it is stopped.
set -eu
build=$1
LC_ALL=C
export LC_ALL
folder=$(mktemp -d /tmp/cp.XXXXXX)
trap 'rm -rf "$folder"' EXIT
failed=0

complain()
{
    echo "$1"
    failed=1
}

nothing_left()
{
    mkdir "$folder/tmp" 2>/dev/null || :
    [ -z "$(ls "$folder/tmp")" ] || complain "$1: files are left: $(ls "$folder/tmp")"
    ! pgrep -f "$folder/tmp" || complain "$1: processes are left"
}

chmod 711 "$folder" # servers that refuse to run as root pass through
mkdir "$folder/tmp"
TMPDIR=$folder/tmp examples/demo/run "$build" >"$folder/shown" 2>&1 || complain "the demo failed"
nothing_left "after its end"
for line in \
    '^    web *opened *[0-9]+ ' \
    '^               reused *[0-9]+ ' \
    '^    https *opened *1 ' \
    '^               reused *99 ' \
    '^    master *opened *1 ' \
    '^    replica-1 *opened *1 ' \
    '^    ssh *opened *1 ' \
    '^    https: a page over TLSv1.3$' \
    '^    ssh: a command of process [0-9]+$' \
    '^    master: one row of a master$' \
    '^    replica-1: one row of a standby$' \
    '^    cache *connect *[0-9.]+ us ' \
    '^               reuse *[0-9.]+ us ' \
    '^    https *connect *[0-9.]+ [um]s ' \
    '^    replica-1 *connect *[0-9.]+ [um]s ' \
    '^    ssh *connect *[0-9.]+ ms ' \
    '^    #[#.]*\.[#.]*#[#.]*$' \
    '^    a full bar is [0-9]+ requests$' \
    '^    [0-9]+ requests were cut off in the middle; then [0-9]+ acquires failed' \
    "'web', endpoint|'nginx', open:" \
    '^    waited: ' \
    'first answer [0-9.]+ ms after' \
    '^    web( +[0-9]+){7}$' \
    'closed, no connection is left'; do
    grep -qE -- "$line" "$folder/shown" || complain "this is not shown: $line"
done
! awk 'length > 80 { exit 1 }' "$folder/shown" && complain "a line is longer than 80 columns"
! grep -q "$(printf '\033')" "$folder/shown" || complain "there is colour in a file"

# As Ctrl-C does, while servers are made and while they work: the signal goes to the script and to what it started.
for moment in 0.3 2.5; do
    result=0
    TMPDIR=$folder/tmp timeout --signal INT $moment examples/demo/run "$build" >"$folder/stopped" 2>&1 || result=$?
    [ $result -eq 124 ] || complain "the demo was not stopped in the middle: $result"
    nothing_left "after Ctrl-C"
done

[ $failed -eq 0 ] || cat "$folder/shown" "$folder/stopped"
exit $failed
