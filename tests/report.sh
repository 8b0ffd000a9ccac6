#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The counting of tests, from check.h's lines to the last line of ./dev test.
#   report.sh SOURCE CHECK_SELF
set -u
source=$1
self=$2
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
printf '%s\n' '- G3 K  third' '- G4 K  fourth' '- W1 K  first of another' >"$work/seed.md"

result() { # NAME STATUS
    if [ "$2" -eq 0 ]; then
        echo "ok - report: $1"
    else
        failed=1
        echo "not ok - report: $1"
        sed 's/^/#   /' "$work/log" "$work/said"
    fi
}

count() { # LOG: the report in $work/said; whether its last line is WANT
    awk -v count="$work/count" -v seeds="$work/seed.md" -f "$source/scripts/report.awk" "$1" >"$work/said"
    status=$?
    [ "$(tail -n 1 "$work/said")" = "$2" ]
}

program() { # MODE EXIT COUNTS
    "$self" "$1" >"$work/log" 2>"$work/errors"
    exit=$?
    count "$work/log" "$3" && [ $exit -eq "$2" ]
    result "a program told to ${1:-pass} ends with $2: $3" $?
}
program '' 0 '2 passed, 0 failed, 0 skipped'
program skip 77 '0 passed, 0 failed, 2 skipped'
program 'skip one' 0 '1 passed, 0 failed, 1 skipped'
program fail 1 '1 passed, 1 failed, 0 skipped'
program 'wrong error' 1 '1 passed, 1 failed, 0 skipped'
program must 1 '1 passed, 1 failed, 0 skipped'
program set-up 1 '0 passed, 1 failed, 0 skipped'

"$self" '' >"$work/log"
count "$work/log" '2 passed, 0 failed, 0 skipped' && [ $status -eq 0 ] &&
    grep -q '^seed G  2 of  2 G3 G4$' "$work/said" && grep -q '^seed W  0 of  1$' "$work/said" && grep -q 'proved: 2 of 3$' "$work/said"
result 'IDs are counted by section' $?
"$self" fail >"$work/log"
count "$work/log" '1 passed, 1 failed, 0 skipped'
! grep -q 'proved: [^0]' "$work/said"
result 'a test that failed proves nothing' $?

# CTest's own log.
section() { # NAME RESULT LINES...
    printf '1/1 Testing: %s\nCommand: "x"\n' "$1"
    verdict=$2
    shift 2
    [ $# -eq 0 ] || printf '%s\n' "$@"
    printf 'Test %s.\n' "$verdict"
}
log() { # NAME COUNTS: and the report itself fails
    count "$work/log" "$2" && [ $status -eq 1 ]
    result "$1" $?
}
{ section a Passed 'ok - s: one' 'ok - s: two' && section b Failed 'ok - s: three'; } >"$work/log"
log 'a program that died counts as failed' '3 passed, 1 failed, 0 skipped'
{ section a Passed && section b Failed 'not ok - s: one'; } >"$work/log"
log 'a program without lines counts as one test' '1 passed, 1 failed, 0 skipped'
section a Passed 'ok - s: Q9: not in the list' >"$work/log"
log 'an ID that is not in the list' '1 passed, 1 failed, 0 skipped'
section a Passed 'ok - s: G3 G4 W1 G3 G4: many' >"$work/log"
log 'a name with five IDs' '1 passed, 1 failed, 0 skipped'
exit $failed
