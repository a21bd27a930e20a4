#!/bin/sh
# headers.sh TREE LANGUAGE STANDARD COMPILER FLAG…: each public header, alone, compiles without a warning. The flags are
# those that the headers of the adapters' event loops need.
set -eu
tree=$1 language=$2 standard=$3 compiler=$4
shift 4
cd "$tree/include"
failed=0

# compiles HEADER FLAG…
compiles()
{
    header=$1
    shift
    printf '#include <%s>\nint unit_is_not_empty;\n' "$header" |
        "$compiler" -x "$language" -std="$standard" -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Werror \
            -I . "$@" - || { echo "failed: $header"; failed=1; }
}

for header in connpool/*.h; do
    compiles "$header"
done
# <uv.h> wants names of POSIX that a strict standard hides.
for header in connpool/adapters/*.h; do
    compiles "$header" -D_DEFAULT_SOURCE "$@"
done
exit $failed
