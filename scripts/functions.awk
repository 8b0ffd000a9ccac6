# SPDX-License-Identifier: BSD-2-Clause
# A report, not a verdict: functions longer than a screen, and #if inside functions.
FNR == 1 { inside = 0 }
/^[a-z].*[(]/ && !/;$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
/^\{/ { inside = 1; start = FNR }
inside && /^[ \t]*#[ \t]*if/ { print "note: " FILENAME ":" FNR ": #if inside " name }
/^\}/ && inside {
    inside = 0
    functions++
    if (FNR - start > 60)
        print "note: " FILENAME ":" start ": " name " has " FNR - start " lines"
}
END { print "note: " functions " functions" }
