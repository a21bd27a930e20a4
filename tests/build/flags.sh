#!/bin/sh
# flags.sh COMMANDS: each source of the library, the plugins and the command was compiled with the hardening flags of
# failures.md 3.5 that gcc 12 and clang 14 both know. A flag that the build's own trial refuses is left out unsaid.
set -eu
commands=$1
failed=0

# compiled: their compile commands.
compiled() { grep -E "\"command\": .* -c [^ ]*/(core|plugins|cli)/[^ ]*\.c\"" "$commands"; }

count=$(compiled | wc -l)
[ "$count" -gt 50 ] || { echo "found $count compile commands in $commands"; exit 1; }
for flag in -fvisibility=hidden -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
    -fno-delete-null-pointer-checks -fno-strict-overflow -Wall -Wextra -Wconversion -Wformat=2 -Wvla \
    -Werror=format-security -Werror=implicit-function-declaration; do
    without=$(compiled | grep -cve " $flag " || true)
    [ "$without" -eq 0 ] || { echo "$without of $count sources are compiled without $flag"; failed=1; }
done
exit $failed
