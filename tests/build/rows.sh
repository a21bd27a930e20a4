#!/bin/sh
# rows.sh TREE: each row of failures.md that this stage of connpool can meet has a test that carries the row's id: as a
# word of a test's source or script (names_like_b12 and test_it_B12 count), or as the first word of a folder of the
# configurations (d07-nan). The rows that have none are listed with the reason.
set -eu
cd "$1/tests"

rows='
A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16 A17 A18 A19 A20 A21 A22 A23 A24 A25 A26 A27 A28 A29 A30 A31 A32 A33 A34 A35 A36 A37 A38 A39 A40 A41 A42
B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 B14 B15 B16 B17 B18 B19 B20 B21 B22 B23 B24 B25 B26 B27 B28 B29 B30
C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C21 C22 C23 C24 C25
D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D11 D12 D13 D14 D15 D16 D17 D18 D20 D21 D22
E1 E2 E3 E4 E5 E6 E7 E8 E9 E10 E11 E12 E13 E14 E15 E16 E17 E18 E19 E20 E21 E22 E23 E24 E25 E26 E27 E28'

exceptions='
B13 no promise to test: to leave a callback by longjmp or by an exception is forbidden, which the guide says
B16 no promise to test: no call may be made from a signal handler, which the guide says
E19 no promise to test: a plugin that crashes ends its process, which the guide for plugins says'

sources=$(find . -name '*_test.c' -o -name '*_stress.c' -o -path './model/run' -o -path './build/*.sh' ! -name rows.sh)
# In the tests of the pool a D is a defect of the design's list, not a row of this one.
sources_of_d=$(echo "$sources" | grep -vE '/unit/(pool_[a-z_]*|lease|test_manager)_test\.c$')

# has_test ROW
has_test()
{
    files=$sources
    case $1 in
    D*)
        files=$sources_of_d
        folder=$(printf 'd%02d' "${1#D}")
        for place in config/valid/"$folder"-* config/invalid/"$folder"-*; do
            [ ! -e "$place" ] || return 0
        done
        ;;
    esac
    # shellcheck disable=SC2086 # a list
    grep -qiE "(^|[^A-Za-z0-9])$1([^A-Za-z0-9]|$)" $files
}

count=0
missing=''
for row in $rows; do
    count=$((count + 1))
    reason=$(echo "$exceptions" | grep "^$row " || true)
    if has_test "$row"; then
        [ -z "$reason" ] || { echo "$row has a test and stands among the exceptions"; missing="$missing $row"; }
    elif [ -z "$reason" ]; then
        missing="$missing $row"
    fi
done
[ -z "$missing" ] || { echo "rows of failures.md without a test:$missing"; exit 1; }
echo "$count rows"
