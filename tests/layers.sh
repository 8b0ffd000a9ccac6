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

verdict() { # NAME FINDINGS: none is good
    if [ -z "$2" ]; then
        echo "ok - layers: $1"
    else
        failed=1
        echo "not ok - layers: $1"
        echo "$2"
    fi
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
    [ -n "$list" ] || { verdict "$layer/ has objects" "#   none in $build/$layer"; continue; }
    echo "$list" | xargs nm -g --defined-only | awk 'NF == 3 { print $3 }' >>"$lower"
    wrong=$(echo "$list" | xargs nm -u -A | awk -v lower="$lower" '
        BEGIN { while ((getline name < lower) > 0) known[name] = 1 }
        { file = $1; sub(/:.*/, "", file); sub(/.*\//, "", file) }
        $NF ~ /^__[a-z]+[dst]i[0-9]$/ { next } # arithmetic of the compiler: __popcountdi2
        !($NF in known) { print "#   " file ": " $NF }')
    verdict "objects of $layer/ use only what is theirs to use" "$wrong"
done

# A module is a stranger to the library: it gets all by the table it is called with.
for module in "$build"/backends/*.so; do
    [ -e "$module" ] || continue
    name=$(basename "$module" .so)
    wrong=$(
        nm -D --defined-only "$module" | awk -v name="$name" '$3 != name { print "#   exports " $3 }'
        nm -D -u "$module" | awk -v allowed=" $allowed " '
            { sub(/@.*/, "", $2) }
            $1 == "U" && index(allowed, " " $2 " ") == 0 { print "#   wants " $2 }'
    )
    verdict "$name exports itself and wants nothing of the library" "$wrong"
done

# The library shows what the public headers declare, all of it and nothing else.
wrong=$(
    {
        nm -D --defined-only "$build/libtarn.so" | awk '{ print "exported " $3 }'
        cat "$source"/include/tarn/*.h | grep -v '^#' | tr '\n' ' ' | grep -oE 'TARN_API [^;(]*\(' |
            sed 's/ *($//; s/.*[ *]/declared /'
    } | awk '{ has[$1, $2] = 1; names[$2] = 1 }
        END {
            for (name in names) {
                if (!(("exported", name) in has)) print "#   declared and not there: " name
                if (!(("declared", name) in has)) print "#   there and not declared: " name
            }
        }' | sort
)
verdict 'the library shows what its headers declare' "$wrong"

# Freestanding headers are the compiler's; string.h declares what is allowed above.
wrong=$(cd "$source" && find include backends region mpool \( -name '*.c' -o -name '*.h' \) -print | sort | xargs grep -nE '^[ \t]*#[ \t]*include[ \t]*<' |
    grep -vE '<(stddef|stdint|stdbool|stdarg|stdatomic|stdalign|limits|string)\.h>|<tarn/' | sed 's/^/#   /')
verdict 'no system header above os/' "$wrong"

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
verdict 'every floor includes only itself and lower ones' "$(echo "$wrong" | sed '/./s/^/#   /')"
exit $failed
