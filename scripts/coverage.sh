#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Lines and branches that the tests reach, by folder.
#   scripts/coverage.sh JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/coverage
cmake --preset dev -B $build -DCMAKE_C_FLAGS=--coverage >/dev/null
cmake --build $build -j "$1" >/dev/null
find $build -name '*.gcda' -delete
rc=0
ctest --test-dir $build -j "$1" >$build/ctest.log 2>&1 || rc=$?
tail -n 4 $build/ctest.log

# gcov -i gives one line per figure and per object; a line counts once, reached if any object saw it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$PWD/$build" -name '*.gcda' >"$work/list"
(cd "$work" && xargs -r gcov --branch-counts --branch-probabilities --preserve-paths -t <list 2>/dev/null) |
    awk -v root="$PWD/" '
    /^ +-: +0:Source:/ { file = $0; sub(/.*Source:/, "", file); sub(root, "", file); keep = file ~ /^(os|backends|region|mpool|tools)\//; next }
    !keep { next }
    /^ +[0-9#=-]+\*?: *[0-9]+:/ {
        split($0, part, ":")
        count = part[1]; line = part[2] + 0
        gsub(/ /, "", count); branch = 0
        if (count == "-") next
        lines[file, line] = file
        if (count !~ /^[#=]/) hit[file, line] = 1
    }
    /^branch/ {
        branches[file, line, branch] = file
        if ($0 ~ /taken/ && $0 !~ /taken 0/) taken[file, line, branch] = 1
        branch++
    }
    function folder(path) { sub(/\/.*/, "", path); return path }
    END {
        for (key in lines) { f = folder(lines[key]); all[f]++; got[f] += (key in hit) }
        for (key in branches) { f = folder(branches[key]); ball[f]++; bgot[f] += (key in taken) }
        printf "%-10s %18s %20s\n", "folder", "lines", "branches"
        n = split("os backends region mpool tools", order, " ")
        for (i = 1; i <= n; i++) {
            f = order[i]
            if (all[f] == 0) continue
            printf "%-10s %7d/%-6d %3d%% %8d/%-6d %3d%%\n", f, got[f], all[f], 100 * got[f] / all[f],
                bgot[f], ball[f], ball[f] ? 100 * bgot[f] / ball[f] : 100
        }
    }'
exit $rc
