#!/bin/sh
# install.sh BUILD CMAKE COMPILER PKG_CONFIG: what `cmake --install` copies is enough: a program of another project finds
# the library by pkg-config and by CMake, compiles, links and runs, and the installed command finds its library.
set -eu
build=$1 cmake=$2 compiler=$3 pkg_config=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

DESTDIR=$folder/root "$cmake" --install "$build" >"$folder/log" || { cat "$folder/log"; exit 1; }
PKG_CONFIG_LIBDIR=$(dirname "$(find "$folder/root" -name connpool.pc)")
PKG_CONFIG_SYSROOT_DIR=$folder/root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_LIBDIR")
export LD_LIBRARY_PATH

mkdir "$folder/application"
cd "$folder/application"
cat >main.c <<'TEXT'
#include <connpool/adapters/epoll.h>
#include <connpool/connpool.h>
#include <string.h>

int main(void)
{
    return strcmp(connpool_version(), CONNPOOL_VERSION) != 0;
}
TEXT
cat >CMakeLists.txt <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(application LANGUAGES C)
find_package(connpool 0.1 REQUIRED)
add_executable(application main.c)
target_link_libraries(application connpool::connpool)
TEXT

# shellcheck disable=SC2046 # a list of flags
"$compiler" main.c -o by_pkg_config $("$pkg_config" --cflags --libs connpool)
./by_pkg_config || { echo "the program found by pkg-config runs another version"; exit 1; }

prefix=$(dirname "$LD_LIBRARY_PATH")
"$cmake" -S . -B build -D CMAKE_C_COMPILER="$compiler" -D CMAKE_PREFIX_PATH="$prefix" >log 2>&1 || { cat log; exit 1; }
"$cmake" --build build >log 2>&1 || { cat log; exit 1; }
build/application || { echo "the program found by CMake runs another version"; exit 1; }

command=$(find "$folder/root" -path '*/bin/connpool')
[ -n "$command" ] || { echo "no command was installed"; exit 1; }
unset LD_LIBRARY_PATH
"$command" --help >log || { echo "the installed command does not run"; cat log; exit 1; }

# Elsewhere than where it was configured for: the same, and the library finds its plugins beside itself.
"$cmake" --install "$build" --prefix "$folder/moved" >log || { cat log; exit 1; }
unset PKG_CONFIG_SYSROOT_DIR CONNPOOL_PLUGIN_PATH
PKG_CONFIG_LIBDIR=$(dirname "$(find "$folder/moved" -name connpool.pc)")
library=$("$pkg_config" --variable=libdir connpool)
# shellcheck disable=SC2046 # a list of flags
"$compiler" main.c -o moved $("$pkg_config" --cflags --libs connpool) -Wl,-rpath,"$library"
./moved || { echo "the program found by pkg-config in a moved installation runs another version"; exit 1; }
"$folder/moved/bin/connpool" describe --trust-any-owner tcp >log 2>&1 ||
    { echo "the moved command does not find the plugin tcp"; cat log; exit 1; }
"$folder/moved/bin/connpool" plugins >log 2>&1 || :
grep -qx "$(realpath "$library")/connpool" log || { echo "another folder is searched"; cat log; exit 1; }
