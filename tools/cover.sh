#!/bin/sh
# cover.sh: runs the suite built with --coverage in $B and prints line coverage a file; fails where the front end as a whole is
# under 90 %.
B=${B:-build/cover}
find "$B" -name '*.gcda' -delete
B=$B VARIANT=cover sh tests/all.sh | tail -n 1
find "$B/frontend" "$B/compiler" "$B/base" -name '*.gcda' | while read -r f; do
    gcov -n -o "$(dirname "$f")" "$f" 2>/dev/null
done | awk '
    /^File/ { file = $2; gsub("\047", "", file) }
    /^Lines executed/ && file ~ /^(frontend|compiler|base)\/.*\.[cly]$/ {
        split($0, a, "[:% ]+"); n = a[length(a)]; pct = a[3]
        if (!(file in seen)) { seen[file] = 1; total[substr(file, 1, index(file, "/") - 1)] += n
            hit[substr(file, 1, index(file, "/") - 1)] += pct * n / 100; printf "%6.1f %% of %5d  %s\n", pct, n, file }
        file = "" }
    END { for (r in total) printf "%6.1f %% of %5d  %s/ (all)\n", 100 * hit[r] / total[r], total[r], r
          exit 100 * hit["frontend"] < 90 * total["frontend"] }' | sort -k5
