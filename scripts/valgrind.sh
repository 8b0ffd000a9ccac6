#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The tests labelled valgrind, each under it; prints their lines.
#   scripts/valgrind.sh BUILD JOBS
set -uo pipefail
cd "$(dirname "$0")/.."
ctest --test-dir "$1" -L valgrind -T memcheck -j "$2" \
    --overwrite MemoryCheckCommand="$(command -v valgrind)" \
    --overwrite MemoryCheckCommandOptions="--quiet --error-exitcode=99 --leak-check=full" 2>&1
