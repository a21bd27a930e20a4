#!/bin/sh
# headers.sh TREE LANGUAGE STANDARD COMPILER: each public header, alone, compiles without a warning.
set -eu
tree=$1 language=$2 standard=$3 compiler=$4
failed=0
for header in "$tree"/include/connpool/*.h; do
    printf '#include <connpool/%s>\nint unit_is_not_empty;\n' "${header##*/}" |
        "$compiler" -x "$language" -std="$standard" -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Werror \
            -I "$tree/include" - || { echo "failed: ${header##*/}"; failed=1; }
done
exit $failed
