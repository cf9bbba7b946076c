#!/bin/sh
# explain.sh TILEC: what `tilec explain` says of tests/tools/explain.tile at three levels, as text and as JSON, against what
# stands in tests/tools/explain.want (TILE_BLESS=1 writes it); every kernel of the library can be explained.
tilec=${1:?usage: explain.sh TILEC}
passed=0 failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
is() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1: expected '$2', found '$3'"
    fi
}
for level in x86-64-v2 x86-64-v3 x86-64-v4; do
    "$tilec" explain tests/tools/explain.tile --target=cpu:$level
    echo "exit $?"
done >"$out" 2>&1
"$tilec" explain tests/tools/explain.tile --target=cpu:x86-64-v4 --kernel=taken -D B=16 --json >>"$out" 2>&1
[ -z "$TILE_BLESS" ] || cp "$out" tests/tools/explain.want
is "explain.want" "" "$(diff tests/tools/explain.want "$out")"
# bytes by hand: taken reads 64 indices, 64 elements and one, and writes 64; product reads two tiles a turn
is "bytes of a gather" "  a program            reads 516, writes 256 bytes" \
    "$("$tilec" explain tests/tools/explain.tile --kernel=taken --target=cpu:x86-64-v3 | grep 'a program' | cut -d, -f1-2)"
is "bytes and flop of a product" "16384 262144" \
    "$("$tilec" explain tests/tools/explain.tile --kernel=product --target=cpu:x86-64-v3 |
        awk '/a turn of a loop/ {gsub(",", ""); print $7, $11}')"
if command -v python3 >/dev/null; then
    is "JSON" "0" "$("$tilec" explain tests/tools/explain.tile --json | python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' 2>&1; echo $?)"
fi
for f in kernels/*.tile; do
    grep -q '^kernel' "$f" || continue
    "$tilec" explain "$f" --target=cpu:x86-64-v3 >"$out" 2>&1
    is "$f" "0" "$?"
done
is "no such kernel" "error: no kernel 'row' in this file" "$("$tilec" explain tests/tools/explain.tile --kernel=row 2>&1)"
is "another family" "tilec: explain tells of cpu targets only, found 'cuda:sm_90a'" \
    "$("$tilec" explain tests/tools/explain.tile --target=cuda:sm_90a 2>&1)"
is "text" "product" "$("$tilec" emit tests/tools/explain.tile --stage=tir --kernel=product -o /tmp/explain.$$.tir &&
    "$tilec" explain /tmp/explain.$$.tir --target=cpu:x86-64-v3 | awk '/^kernel/ {print $2}'; rm -f /tmp/explain.$$.tir)"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
