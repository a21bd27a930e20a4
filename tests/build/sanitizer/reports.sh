#!/bin/sh
# reports.sh TEXT COMMAND…: the command, which holds a deliberate mistake, fails and its report says TEXT. So a sanitizer
# that has stopped working is noticed.
set -u
text=$1
shift
if report=$("$@" 2>&1); then
    echo "the mistake went unnoticed: $*"
    exit 1
fi
case $report in
*"$text"*) exit 0 ;;
esac
printf 'expected a report with "%s", got:\n%s\n' "$text" "$report"
exit 1
