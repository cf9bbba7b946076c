#!/bin/sh
# bad_ir.sh TILEC: IR text, and calls, that are hostile by size or nesting: a diagnostic and exit code 1, in bounded
# memory and time. (Sources: bad_input.sh.)
#
#   refuse FILE 'TEXT'   check ends with 1 and prints FILE:LINE:COL: error: ..TEXT.., within 20 s and 4 GiB (sanitized
#                        builds: 60 s, any space)
tilec=${1:?usage: bad_ir.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0
limit="ulimit -v 4194304" seconds=20
[ -n "$VARIANT" ] && limit=true seconds=60

try() {
    (eval "$limit"; exec timeout $seconds "$tilec" "$@") >out 2>&1
    got=$?
}

judge() {
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $2 (exit $got)"
        head -c 600 out
    fi
}

refuse() {
    try check "$1"
    [ "$got" -eq 1 ] && grep -aE "^$1:[0-9]+:[0-9]+: error: " out | grep -qaF -- "$2"
    judge $? "$1"
}

# repeat N TEXT
repeat() {
    awk -v n="$1" -v t="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%s", t }'
}

head='kernel k(x: *f32) grid(1):'

printf 'tile-ir 1 stage=tir target=any\n' >head.tir
{ cat head.tir; repeat 1000000 '('; echo; } >parens.tir
refuse parens.tir ''
{ cat head.tir; printf 'fn @f() {\n  %%0 = const 1 : tile<'; repeat 100000 9x; printf 'i32>\n}\n'; } >dims.tir
refuse dims.tir 'dimensions'
{ cat head.tir; printf 'fn @f(%%a: '; repeat 1000000 '*'; printf 'i32) {\n  return\n}\n'; } >pointers.tir
refuse pointers.tir 'nested'
{ cat head.tir; printf 'fn @f(%%a: bool) {\n'; repeat 10000 'if %a {
'; } >regions.tir
refuse regions.tir 'nested'
head -c 1000000 /dev/urandom >junk.tir
refuse junk.tir ''
printf 'tile-ir 9 stage=tir target=any\n' >version.tir
refuse version.tir ''

# short, and endless once inlined
{
    printf 'fn g0(x):\n    return x + 1\n'
    awk 'BEGIN { for (i = 1; i < 60; i++) printf "fn g%d(x):\n    return g%d(x) * g%d(x + 1)\n", i, i - 1, i - 1 }'
    printf '%s\n    store(x, g59(load(x)))\n' "$head"
} >double.tile
try emit double.tile --stage=laid
[ "$got" -eq 1 ] && grep -qF 'too long' out
judge $? 'double.tile, emit'
try run double.tile k x=zeros:f32[1]
[ "$got" -eq 1 ] && grep -qF 'too long' out
judge $? 'double.tile, run'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
