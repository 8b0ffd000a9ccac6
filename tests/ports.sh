#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The reader of ports files: a good one is read from anywhere; each kind of mistake stops it with
# file, line and key.
#   ports.sh CMAKE SOURCE BUILD
set -u
cmake=$1
source=$2
build=$3
good=$source/ports/linux.port
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

result() { # NAME STATUS: and what was said, if it is not what was expected
    if [ "$2" -eq 0 ]; then
        echo "ok - ports: $1"
    else
        failed=1
        echo "not ok - ports: $1"
        sed 's/^/#   /' "$work/said"
    fi
}

# The good file with one change made by an awk program; the reader must stop and say LINE: TEXT.
# LINE is a number, or a word that stands in that line alone.
refuses() { # NAME AWK LINE TEXT
    awk "$2" "$good" >"$work/bad.port"
    line=$3
    case $line in
    *[!0-9]*) line=$(grep -n "$line" "$work/bad.port" | head -n 1 | cut -d: -f1) ;;
    esac
    if "$cmake" -DTARN_PORT="$work/bad.port" -P "$source/cmake/TarnPortRead.cmake" >"$work/said" 2>&1; then
        result "$1" 1
    else
        grep -qF "$work/bad.port:$line: $4" "$work/said"
        result "$1" $?
    fi
}
last() { awk 'END { print NR }' "$good"; }

"$cmake" -DTARN_PORT="$good" -P "$source/cmake/TarnPortRead.cmake" >"$work/said" 2>&1
result 'linux.port is read' $?

refuses 'an unknown key, and the nearest' '/^tier/ { print "teir 1"; next } 1' '^teir' "unknown key 'teir'; the nearest is 'tier'"
refuses 'a key without a value' '/^libs/ { print "libs"; next } 1' '^libs$' 'libs: no value'
refuses 'a key that stands twice' '1; /^tier/ { print "tier 2" }' '^tier 2' "duplicate key 'tier', first in line"
refuses 'a value that is no value of the key' '/^tier/ { print "tier 4"; next } 1' '^tier 4' "tier: '4' is not 1, 2 or 3"
refuses 'too many values' '/^system/ { print "system Linux Hurd"; next } 1' '^system' 'system: one value expected, 2 given'
refuses 'a missing key' '!/^backends/' "$(($(last) - 1))" "key 'backends' is missing"
refuses 'a missing fact' '!/^fact +wait_any/' "$(($(last) - 1))" "'fact wait_any' is missing"
refuses 'an unknown fact' '/^fact +punch/ { print "fact poonch yes"; next } 1' 'poonch' "unknown fact 'poonch'; the nearest is 'punch'"
refuses 'a fact with a wrong value' '/^fact +lock_byte/ { print "fact lock_byte ofdd"; next } 1' 'ofdd' "unknown value of fact lock_byte 'ofdd'; the nearest is 'ofd'"
refuses 'a fact with two values' '/^fact +punch/ { print "fact punch yes no"; next } 1' 'yes no' 'fact punch: one value expected, one of: yes, no'
refuses 'a fact twice' '1; /^fact +punch/ { print "fact punch no" }' 'punch no' "duplicate 'fact punch', first in line"
refuses 'a group that nobody serves' '!/^serves +proc /' "$(($(last) - 1))" "'serves proc' is missing"
refuses 'an unknown group' '/^serves +misc / { print "serves mics posix"; next } 1' 'mics' "unknown group of 'serves' 'mics'; the nearest is 'misc'"
refuses 'an unknown slot' '1; END { print "serves file.opne posix" }' 'opne' "unknown slot of 'serves file' 'opne'; the nearest is 'open'"
refuses 'an unknown implementation' '1; END { print "serves file.seek solaris" }' 'solaris' "serves: no implementation 'solaris'"
refuses 'a backend that there is not' '/^backends/ { print "backends mmap mallok"; next } 1' 'mallok' 'backends: there is no backends/mallok.c'
refuses 'a source that there is not' '1; END { print "sources os/nothere.c" }' 'nothere' "sources: no file 'os/nothere.c'"
refuses 'a word twice' '1; END { print "libs dl" }' "$(($(last) + 1))" "libs: 'dl' stands twice"
refuses 'a requirement without a header' '1; END { print "requires nothing" }' "$(($(last) + 1))" 'requires: two words expected, 1 given'
refuses 'shared backends without whole 64-bit words' '/^fact +lock_free_64/ { print "fact lock_free_64 no"; next } 1' \
    'lock_free_64 no' "backend 'mmap' shares memory between processes, which needs 'fact lock_free_64 yes'"
refuses 'shared backends without a witness of death' \
    '/^fact +lock_byte/ { print "fact lock_byte none"; next } /^fact +robust_word/ { print "fact robust_word no"; next } 1' \
    'lock_byte none' "backend 'mmap' shares memory between processes, which needs a witness of death"

# What only the compiler can say, with a file from anywhere.
configure() { # PORT
    "$cmake" -S "$source" -B "$work/tree" -DTARN_PORT="$1" -DTARN_TESTS=OFF -DTARN_TOOLS=OFF >"$work/said" 2>&1
}
sed 's/^tier.*/tier 3/' "$good" >"$work/mine.port"
printf 'optional no_such_call_here stdio.h\n' >>"$work/mine.port"
configure "$work/mine.port" && grep -q '"tier", "3"' "$work/tree/generated/tarn_port_facts.c" &&
    grep -q '^#define TARN_HAVE_NO_SUCH_CALL_HERE 0$' "$work/tree/generated/tarn_port.h"
result 'a ports file from anywhere, and an optional call that is missing' $?

{ cat "$good" && printf 'requires no_such_call_there stdio.h\n'; } >"$work/bad.port"
! configure "$work/bad.port" &&
    grep -qF "$work/bad.port:$(($(last) + 1)): requires: 'no_such_call_there' is not in <stdio.h> here" "$work/said"
result 'a required call that is missing' $?

sed 's/^system.*/system Hurd/' "$good" >"$work/bad.port"
! configure "$work/bad.port" && grep -q 'bad.port:[0-9]*: system: this port is for Hurd' "$work/said"
result 'a port of another system' $?

! configure "$work/none.port" && grep -qF "$work/none.port: no such ports file" "$work/said"
result 'a ports file that there is not' $?

exit $failed
