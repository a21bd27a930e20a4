#!/bin/sh
# shell.sh TREE SHELLCHECK: shellcheck has nothing to say about any shell script of the tree.
set -eu
cd "$1"
grep -rlE '^#!.*[/ ](ba)?sh\>' --exclude-dir=build --exclude-dir=.git . | xargs "$2"
