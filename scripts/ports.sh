#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Configures for every ports file that this machine can; reads the others.
set -uo pipefail
cd "$(dirname "$0")/.."
value() { awk -v key="$1" '$1 == key { print $2 }' "$2"; }
failed=0
for port in ports/*.port; do
    name=$(basename "$port" .port)
    mkdir -p build
    log=build/port-$name.log
    if [ "$(value system "$port")" = "$(uname -s)" ] && [ -z "$(value emulator "$port")" ]; then
        did='configured'
        cmake --preset dev -B "build/port-$name" -DTARN_PORT="$port" -DTARN_TESTS=OFF -DTARN_TOOLS=OFF >"$log" 2>&1
    else
        did='read (it is for another system)'
        cmake -DTARN_PORT="$port" -P cmake/TarnPortRead.cmake >"$log" 2>&1
    fi && { echo "ok - ports: $name $did"; continue; }
    failed=1
    echo "not ok - ports: $name"
    sed 's/^/#   /' "$log"
done
exit $failed
