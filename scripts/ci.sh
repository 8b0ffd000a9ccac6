#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Every stage of CI, each with its budget; all run even if one fails, so that one run tells all.
set -uo pipefail
cd "$(dirname "$0")/.."
limit=1140 # seconds for the whole
failed=0
names=()

stage() { # NAME BUDGET COMMAND...: the results are in build/results/NAME
    local name=$1 budget=$2 began=$SECONDS rc=0
    shift 2
    [ $budget -le $((limit - SECONDS)) ] || budget=$((limit - SECONDS))
    printf '\n=== %s\n' "$name"
    if [ $budget -le 0 ]; then
        printf 'not ok - ci: %s: the %s seconds of the whole are used up\n' "$name" $limit
        failed=1
        return
    fi
    rm -f "build/results/$name"
    timeout -k 10 $budget "$@" </dev/null || rc=$?
    [ $rc -ne 124 ] || printf 'not ok - ci: %s: not done in %s seconds\n' "$name" $budget
    printf '=== %s: %s in %s s of %s\n' "$name" "$([ $rc -eq 0 ] && echo passed || echo FAILED)" $((SECONDS - began)) $budget
    [ $rc -eq 0 ] || failed=1
    names+=("$name:$rc")
}

stage setup 240 ./dev setup --check
stage dev 300 ./dev test
stage run 120 ./dev run
stage check 420 ./dev check
stage asan 240 ./dev suite asan
stage tsan 240 ./dev suite tsan
stage valgrind 120 ./dev valgrind
stage ports 30 ./dev ports

# A stage that counts no tests is one itself, and so is one that failed and counted no failure.
printf '\n'
for item in "${names[@]}"; do
    file=build/results/${item%%:*}
    counts="$((${item##*:} == 0)) 0 0"
    [ ! -f "$file" ] || counts=$(cat "$file")
    printf '%s %s\n' "${item##*:}" "$counts"
done | awk -v extra="$failed" '
    { passed += $2; failed += $3; skipped += $4; if ($1 != 0 && $3 == 0) failed++ }
    END {
        if (extra && failed == 0) failed = 1
        printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    }'
exit $failed
