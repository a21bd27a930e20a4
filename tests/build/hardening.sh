#!/bin/sh
# hardening.sh READELF FILE…: each product is linked as failures.md 3.5 wants: all symbols bound at start, read-only
# relocations, no text relocations, no executable stack, position-independent; a libconnpool.so carries its SONAME. What
# may be loaded late takes no place in the thread storage that is laid out at start (failures.md E25, E26).
set -eu
readelf=$1
shift
failed=0

fail()
{
    echo "$file: $1"
    failed=1
}

for file in "$@"; do
    dynamic=$("$readelf" -dW "$file")
    segments=$("$readelf" -lW "$file")
    has() { echo "$1" | grep -qE "$2"; }
    has "$dynamic" 'FLAGS.*NOW' || fail "not linked with -z now"
    has "$segments" GNU_RELRO || fail "no GNU_RELRO segment"
    ! has "$dynamic" TEXTREL || fail "has text relocations"
    has "$segments" 'GNU_STACK .* RW ' || fail "GNU_STACK is missing or executable"
    "$readelf" -hW "$file" | grep -q 'Type: *DYN' || fail "not position-independent"
    case $file in
    *libconnpool.so*) has "$dynamic" 'SONAME.*\[libconnpool\.so\.0\]' || fail "SONAME is not libconnpool.so.0" ;;
    esac
    case $file in
    *.so*)
        has "$dynamic" 'FLAGS_1.*NODELETE' || fail "not linked with -z nodelete"
        ! has "$dynamic" 'FLAGS.*STATIC_TLS' || fail "needs static thread storage"
        ;;
    esac
done
exit $failed
