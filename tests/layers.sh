#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The floors of the house, as the linker and the preprocessor see them.
#   layers.sh SOURCE BUILD
# An object of backends/, region/ or mpool/ may want from outside its own floor: what lower floors of
# Tarn define (but no implementation of the OS table), mem*/str*, and what compilers call by
# themselves.  No file above os/ includes a header of the system.
set -u
source=$1
build=$2
failed=0

# Functions of C that only touch the memory they are given.
allowed='memcpy memset memcmp memmove memchr strlen strnlen strcmp strncmp strchr strrchr strspn strcspn strstr'
allowed="$allowed __stack_chk_fail __tls_get_addr _GLOBAL_OFFSET_TABLE_"

say() { # STATUS NAME
    printf '%s - layers: %s\n' "$1" "$2"
    [ "$1" = ok ] || failed=1
}

objects() { # LAYER
    find "$build/$1" -name '*.o' -path "*tarn_*" 2>/dev/null
}

lower=$(mktemp)
trap 'rm -f "$lower"' EXIT
printf '%s\n' $allowed >"$lower"
objects os | xargs -r nm -g --defined-only | awk 'NF == 3 && $3 !~ /^(posix|linux|apr|win32|none|absent)_/ { print $3 }' >>"$lower"

for layer in backends region mpool; do
    list=$(objects $layer)
    [ -n "$list" ] || { say ok "$layer/ has no objects yet"; continue; }
    echo "$list" | xargs nm -g --defined-only | awk 'NF == 3 { print $3 }' >>"$lower"
    wrong=$(echo "$list" | xargs nm -u -A | awk -v lower="$lower" '
        BEGIN { while ((getline name < lower) > 0) known[name] = 1 }
        { file = $1; sub(/:.*/, "", file); sub(/.*\//, "", file) }
        !($NF in known) { print "#   " file ": " $NF }')
    if [ -n "$wrong" ]; then
        say 'not ok' "objects of $layer/ use only what is theirs to use"
        echo "$wrong"
    else
        say ok "objects of $layer/ use only what is theirs to use"
    fi
done

# Freestanding headers are the compiler's; string.h declares what is allowed above.
wrong=$(cd "$source" && find include backends region mpool \( -name '*.c' -o -name '*.h' \) -print | sort | xargs grep -nE '^[ \t]*#[ \t]*include[ \t]*<' |
    grep -vE '<(stddef|stdint|stdbool|stdarg|stdatomic|stdalign|limits|string)\.h>|<tarn/')
if [ -n "$wrong" ]; then
    say 'not ok' 'no system header above os/'
    echo "$wrong" | sed 's/^/#   /'
else
    say ok 'no system header above os/'
fi

# A floor includes itself and what is below it.
wrong=$(
    cd "$source" || exit
    for pair in 'os:backends|region|mpool|tools' 'backends:region|mpool|tools' 'region:mpool|tools' 'mpool:tools'; do
        find "${pair%%:*}" \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null | sort |
            xargs -r grep -nE "#[ \t]*include[ \t]*\"(${pair#*:})/"
    done
    find os backends -name '*.[ch]' -print | xargs -r grep -nE '#[ \t]*include[ \t]*<tarn/(region|mpool)\.h>'
    find os -name '*.[ch]' -print | xargs -r grep -nE '#[ \t]*include[ \t]*<tarn/backend\.h>'
    find region -name '*.[ch]' -print | xargs -r grep -nE '#[ \t]*include[ \t]*<tarn/mpool\.h>'
)
if [ -n "$wrong" ]; then
    say 'not ok' 'every floor includes only itself and lower ones'
    echo "$wrong" | sed 's/^/#   /'
else
    say ok 'every floor includes only itself and lower ones'
fi
exit $failed
