#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs what was built, moves the installation elsewhere, and builds a stranger's program against
# it: by the CMake package and by pkg-config, shared and static, in C and in C++; and runs each.
#   consumer.sh CMAKE SOURCE BUILD
set -u
cmake=$1
source=$2/tests/consumer
build=$3
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

result() { # NAME STATUS
    if [ "$2" -eq 0 ]; then
        echo "ok - consumer: $1"
    else
        failed=1
        echo "not ok - consumer: $1"
        tail -n 30 "$work/said" | sed 's/^/#   /'
    fi
}
skip() { # NAME REASON
    echo "skip - consumer: $1 # $2"
}

"$cmake" --install "$build" --prefix "$work/stage" >"$work/said" 2>&1 && mv "$work/stage" "$work/moved"
result 'installs, and may be moved' $?
libdir=$(dirname "$(find "$work/moved" -name libtarn.a)")
export TARN_BACKEND_PATH="$libdir/tarn" LD_LIBRARY_PATH="$libdir"

! grep -rlF -e "$build" -e "$work/stage" "$work/moved/include" "$libdir/cmake" "$libdir/pkgconfig" >"$work/said" 2>&1
result 'no file names the folder it was built or staged in' $?

try() { # PROGRAM: run in an empty home, which must be empty afterwards
    mkdir "$work/home" && "$1" "$work/home" >>"$work/said" 2>&1 && rmdir "$work/home" && return 0
    ls -la "$work/home" >>"$work/said" 2>&1
    rm -rf "$work/home"
    return 1
}

"$cmake" -S "$source" -B "$work/project" -DCMAKE_PREFIX_PATH="$work/moved" >"$work/said" 2>&1 &&
    "$cmake" --build "$work/project" >>"$work/said" 2>&1
result 'a CMake project finds and builds' $?
for kind in c_shared c_static cxx_shared cxx_static; do
    if [ -x "$work/project/$kind" ]; then
        try "$work/project/$kind"
        result "find_package: $kind" $?
    elif [ "${kind#cxx}" != "$kind" ] && ! command -v c++ >/dev/null; then
        skip "find_package: $kind" 'no C++ compiler here'
    else
        result "find_package: $kind" 1
    fi
done

export PKG_CONFIG_PATH="$libdir/pkgconfig"
for package in tarn tarn-static; do
    for compiler in 'cc -std=c11 -x c' 'c++ -std=c++17 -x c++'; do
        name="pkg-config: $package, ${compiler%% *}"
        if ! command -v pkg-config >/dev/null; then
            skip "$name" 'no pkg-config here'
        elif ! command -v "${compiler%% *}" >/dev/null; then
            skip "$name" 'no C++ compiler here'
        else
            # shellcheck disable=SC2046,SC2086
            $compiler -Wall -Wextra -Wpedantic -Werror "$source/stranger.c" -x none -o "$work/program" \
                $(pkg-config --cflags --libs $package) >"$work/said" 2>&1 && try "$work/program"
            result "$name" $?
        fi
    done
done
exit $failed
