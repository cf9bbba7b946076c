#!/bin/sh
# embed.sh FILE...: prints a C file that holds the files' texts (tile_std_files of frontend/std.h).
echo '#include "frontend/std.h"'
i=0
for f in "$@"; do
    printf 'static const char text_%d[] = {' "$i"
    od -An -v -tu1 "$f" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
    echo '0};'
    i=$((i + 1))
done
echo 'const tile_std_file tile_std_files[] = {'
i=0
for f in "$@"; do
    printf '    {"%s", text_%d, sizeof text_%d - 1},\n' "$f" "$i" "$i"
    i=$((i + 1))
done
echo '    {0, 0, 0}};'
printf 'const size_t tile_std_count = %d;\n' "$#"
