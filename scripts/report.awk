# SPDX-License-Identifier: BSD-2-Clause
# Counts tests from their own lines, in CTest's log or any other:
#     ok - SUITE: NAME        not ok - SUITE: NAME        skip - SUITE: NAME # REASON
# A CTest test that failed without such a line counts as one failed test, one that says nothing at
# all as one of its own result.  With `seeds` it lists from the names of tests that passed the IDs of
# that file.
#
# awk -v count=FILE [-v seeds=docs/seed.md] -f report.awk LOG

function finish() {
    if (ctest == "")
        return
    if (failed_here == 0 && result == "failed") {
        failed++
        print "not ok - " ctest ": ended without saying which test failed"
    } else if (lines_here == 0 && result == "passed") {
        passed++
    }
    ctest = ""
}

function proves(name,    i, n, word) {
    if (name !~ /^[A-Z][0-9]+( [A-Z][0-9]+)*:/)
        return
    sub(/:.*/, "", name)
    n = split(name, word, " ")
    if (n > 4) {
        failed++
        print "not ok - report: a name with more than four IDs: " name
    }
    for (i = 1; i <= n; i++)
        proved[word[i]] = 1
}

BEGIN {
    while (seeds != "" && (getline line < seeds) > 0)
        if (match(line, /^- [A-Z][0-9]+ /)) {
            id = substr(line, 3, RLENGTH - 3)
            known[++ids] = id
            is_known[id] = 1
        }
}

/^[0-9]+\/[0-9]+ Testing: / { finish(); ctest = $3; lines_here = failed_here = 0; result = "" }
/^Unable to find executable/ { failed++; print "not ok - " $0 }
/^Command: ""$/ { ctest = "" }
/^Test Passed\.$/ { result = "passed" }
/^Test Failed\.$/ { result = "failed" }
/^ok - / { passed++; lines_here++; sub(/^ok - [^:]*: /, ""); proves($0) }
/^not ok - / { failed++; lines_here++; failed_here++; print }
/^skip - / { skipped++; lines_here++; print }

END {
    finish()
    for (id in proved)
        if (seeds != "" && !(id in is_known)) {
            failed++
            print "not ok - report: a test name begins with " id ", which docs/seed.md does not have"
        }
    for (i = 1; i <= ids; i++) {
        section = substr(known[i], 1, 1)
        if (!(section in total))
            order[++sections] = section
        total[section]++
        if (known[i] in proved) {
            done[section]++
            list[section] = list[section] " " known[i]
            all++
        }
    }
    if (all > 0) {
        for (i = 1; i <= sections; i++)
            printf "seed %s %2d of %2d%s\n", order[i], done[order[i]], total[order[i]], list[order[i]]
        printf "seed behaviours proved: %d of %d\n", all, ids
    }
    printf "%d %d %d\n", passed, failed, skipped > count
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0
}
