#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What is looked at rather than run.  One line per check, as the tests print them; the build of
# preset dev is there already.
#   scripts/check.sh JOBS
set -uo pipefail
cd "$(dirname "$0")/.."
jobs=$1
failed=0

sources() { # NAME PATTERNS...: files of the project, tracked or new
    git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done
}

verdict() { # NAME COMMAND...: ok if the command succeeds; what it said only if not
    local name=$1 out began=$SECONDS
    shift
    out=$(mktemp)
    if "$@" >"$out" 2>&1; then
        printf 'ok - check: %s (%s s)\n' "$name" $((SECONDS - began))
    else
        failed=1
        printf 'not ok - check: %s\n' "$name"
        grep -E 'error|warning|Failed|not ok|^#' "$out" | head -n 40 | sed 's/^/#   /'
        tail -n 20 "$out" | sed 's/^/#   /'
    fi
    rm -f "$out"
}

format() {
    sources '*.c' '*.h' | xargs clang-format --dry-run -Werror
}

# What preset dev compiles, apart from the tests and what it generates.
tidy() {
    local out
    out=$(sed -n 's/^ *"file": "\(.*\)",*$/\1/p' build/dev/compile_commands.json | grep -v -e '/build/' -e '/tests/' | sort -u |
        xargs -P "$jobs" -n 4 clang-tidy --quiet -p build/dev 2>/dev/null) && return 0
    grep -E '(error|warning):' <<<"$out" | sed "s|^$PWD/||" | sort -u
    return 1
}

licence_lines() {
    local file bad=0
    while IFS= read -r file; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || { echo "$file"; bad=1; }
    done < <(sources '*.c' '*.h' '*.sh' '*.awk' '*.cmake' '*CMakeLists.txt' '*.port' '.clang-*' dev .ci/run)
    return $bad
}

# Another compiler, and the backends linked in: the same sources, no warnings.
clang_build() {
    cmake --preset dev -B build/clang -DCMAKE_C_COMPILER=clang -DTARN_STATIC_BACKENDS=ON &&
        cmake --build build/clang -j "$jobs" && clang_built=yes
}
clang_built=no
clang_tests() { [ $clang_built = yes ] && ctest --test-dir build/clang -R '^(load|backend_.*|region|get|pool|examples)$' -j "$jobs" --output-on-failure; }
release_build() { cmake --preset release && cmake --build --preset release -j "$jobs"; }

# Each public header stands alone, in both languages.
public_headers() {
    local header
    for header in include/tarn/*.h; do
        echo "#include <${header#include/}>" |
            gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c - || return 1
        echo "#include <${header#include/}>" |
            g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ - || return 1
    done
}

# Programs in the documents: every C block that has a main is compiled.
document_programs() {
    local folder file program
    folder=$(mktemp -d)
    for file in $(sources '*.md'); do
        awk -v stem="$folder/$(tr / _ <<<"$file")" '
            /^```c$/ { inside = 1; text = ""; next }
            /^```/ && inside { inside = 0; if (text ~ /int main\(/) printf "%s", text > (stem "." ++n ".c"); next }
            inside { text = text $0 "\n" }' "$file"
    done
    for program in "$folder"/*.c; do
        [ -e "$program" ] || continue
        gcc -std=c11 -Wall -Wextra -Werror -Iinclude -fsyntax-only "$program" || { rm -r "$folder"; return 1; }
    done
    rm -r "$folder"
}

# Files that documents point to with (name) or `folder/name` in a link exist.
document_links() {
    local file target bad=0
    for file in $(sources '*.md'); do
        while IFS= read -r target; do
            [ -e "$(dirname "$file")/$target" ] || { echo "$file: $target"; bad=1; }
        done < <(grep -oE '\]\([^)#]+' "$file" | sed 's/^](//' | grep -vE '^(https?:|mailto:)')
    done
    return $bad
}

script_syntax() {
    local file
    for file in dev .ci/run $(sources '*.sh'); do
        bash -n "$file" || return 1
    done
}

verdict 'format' format
verdict 'licence line in every file' licence_lines
verdict 'scripts parse' script_syntax
tests/layers.sh . build/dev || failed=1
verdict 'public headers stand alone in C11 and C++17' public_headers
verdict 'programs in documents compile' document_programs
verdict 'links in documents lead somewhere' document_links
verdict 'optimised build without warnings' release_build
verdict 'clang builds without warnings, backends linked in' clang_build
verdict 'with clang and backends linked in it works' clang_tests
verdict 'static analysis' tidy
# shellcheck disable=SC2046
awk -f scripts/functions.awk $(sources '*.c' '*.h')
exit $failed
