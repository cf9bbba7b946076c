#!/bin/sh
# docs_c.sh: the whole programs of the documents: where a ```tile block is followed by a ```c block with a main and then
# by a block without a language, the program is compiled, run on the host's devices beside the kernels (under the name
# that the text gives: the last `NAME.tile` before the block), and must print the last block. `kernels` there is the
# library.
B=${B:-build/test}
case $B in /*) ;; *) B=$PWD/$B ;; esac
CC=${CC:-cc}
top=$PWD
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
check() {
    if "$@" >"$dir/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $*"
        head -20 "$dir/log"
    fi
}
for doc in docs/*.md; do
    awk -v to="$dir/$(basename "$doc" .md)" '
        !open && match($0, /`[a-z_]+\.tile`/) { name = substr($0, RSTART + 1, RLENGTH - 2) }
        /^```/ && open { open = 0; close(file); if (kind == "tile") have = 1; next }
        /^```tile$/ { open = 1; kind = "tile"; n++; d = to "_" n; system("mkdir -p " d); file = d "/" (name ? name : "k.tile"); next }
        /^```c$/ && have { open = 1; kind = "c"; file = d "/main.c"; program = 1; next }
        /^```$/ && program { open = 1; kind = "text"; file = d "/expected"; program = 0; have = 0; next }
        /^```/ { open = 1; kind = "other"; file = "/dev/null"; next }
        open { print > file }' "$doc"
done
libs="-Wl,--start-group $B/libruntime.a $B/libplug.a $B/libfrontend.a $B/libcompiler.a $B/libbase.a -Wl,--end-group"
for main in "$dir"/*/main.c; do
    [ -e "$main" ] && grep -q 'int main' "$main" || continue
    at=${main%/*}
    ln -s "$top/kernels" "$at/kernels"
    check $CC -std=c17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror $SAN -I"$top/runtime" "$main" -o "$at/main" \
        $libs -lffi -lm -ldl -lpthread -Wl,-rpath,"$B"
    for device in cpu cpu:threads=1 interp; do
        check sh -c 'cd "$1" && TILE_CACHE_DIR=cache ./main "$2" >out && diff expected out' run "$at" $device
    done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
