#!/bin/sh
# cover.sh: runs the suite built with --coverage in $B, then prints line coverage a file and a room, least covered rooms
# last; fails where a test does, or where the front end as a whole is under 90 %. What flex and bison generate is left
# out, their inputs are in. UNCOVERED=1: also each line of the front end that never ran.
B=${B:-build/cover}
find "$B" -name '*.gcda' -delete
said=$(B=$B VARIANT=cover sh tests/all.sh)
code=$?
[ "$code" -eq 0 ] || echo "$said" | sed '$d' | grep -A60 -E ' [1-9][0-9]* failed ' | grep -v ' 0 failed '
echo "$said" | tail -n 1

# "File 'x.c'" and "Lines executed:97.21% of 215", or with -t annotated lines
reports() {
    find "$B/$1" -name '*.gcda' | while read -r f; do
        gcov "$2" -o "$(dirname "$f")" "$f" 2>/dev/null
    done
}

if [ -n "$UNCOVERED" ]; then
    reports frontend -t | awk '
        /^ *-: *0:Source:/ { file = $0; sub(/.*Source:/, "", file) }
        /^ *#####:/ && file ~ /^frontend\/.*\.[cly]$/ { sub(/^ *#####: */, ""); print file ":" $0 }'
fi
for room in base compiler frontend; do reports "$room" -n; done | awk -v code="$code" '
    /^File/ { file = $2; gsub("\047", "", file) }
    /^Lines executed/ && file ~ /^(frontend|compiler|base)\/.*\.[cly]$/ {
        split($0, a, "[:% ]+")
        room = substr(file, 1, index(file, "/") - 1)
        if (!(file in seen)) {
            seen[file] = 1
            total[room] += a[5]
            hit[room] += a[3] * a[5] / 100
            printf "%6.1f %% of %5d  %s\n", a[3], a[5], file | "sort -k5"
        }
        file = ""
    }
    END {
        close("sort -k5")
        for (room in total)
            printf "%6.1f %% of %5d  %s/ in all\n", 100 * hit[room] / total[room], total[room], room | "sort -rn"
        close("sort -rn")
        if (total["frontend"] == 0 || 100 * hit["frontend"] < 90 * total["frontend"]) {
            print "cover: the front end is under 90 %"
            exit 1
        }
        exit code != 0
    }'
