#!/bin/sh
# bad_input.sh TILEC: what no author would write: each input ends in exit code 0 or 1 as said, within 10 seconds and 1
# GiB of address space (sanitized builds: 60 seconds, any space), never by a signal; errors carry a place.
tilec=${1:?usage: bad_input.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0
limit="ulimit -v 1048576" seconds=10
[ -n "$VARIANT" ] && limit=true seconds=60

# expect CODE TEXT FILE: check FILE ends with CODE and says TEXT
expect() {
    (eval "$limit"; exec timeout $seconds "$tilec" check "$3") >out 2>&1 </dev/null
    got=$?
    ok=1
    [ "$got" -eq "$1" ] || ok=0
    [ -z "$2" ] || grep -qF -- "$2" out || ok=0
    [ "$got" -eq 0 ] || grep -qE "^[^ ]*:[0-9]+:[0-9]+: error: " out || ok=0
    [ "$(wc -c <out)" -lt 200000 ] || ok=0
    if [ $ok = 1 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $3 (exit $got, expected $1 with '$2')"
        head -c 1500 out
    fi
}
repeat() { awk -v s="$1" -v n="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%s", s }'; }

head -c 100000 /dev/urandom >junk.tile
expect 1 "" junk.tile
printf 'kernel k(p: *f32):\n    store(p, \000 1.0)\n' >nul.tile
expect 1 "unexpected character 0x00" nul.tile
printf 'kernel k(p: *f32):\n    s = "\377\376"\n    store(p, 1.0) # \300\n' >utf8.tile
expect 0 "" utf8.tile
printf 'kernel \377k(p: *f32):\n    store(p, 1.0)\n' >utf8name.tile
expect 1 "unexpected character 0xff" utf8name.tile
: >empty.tile
expect 0 "" empty.tile
printf '\n\n# nothing\n' >blank.tile
expect 0 "" blank.tile
printf 'kernel k(p: *f32):\n    store(p, 1.0)' >nonl.tile
expect 0 "" nonl.tile
printf 'kernel k(p: *f32):\r\n    store(p, 1.0)\r\n' >crlf.tile
expect 0 "" crlf.tile
printf 'kernel k(p: *f32):\n    if load(p) > 0:\n\t    store(p, 1.0)\n' >tabs.tile
expect 1 "tab in indentation" tabs.tile
(printf 'kernel k(p: *f32):\n    x = '; repeat a 10000000; printf '\n') >longline.tile
expect 1 "unknown name" longline.tile
(printf '# '; repeat a 10000000; printf '\nkernel k(p: *f32):\n    store(p, 1.0)\n') >longcomment.tile
expect 0 "" longcomment.tile
(printf 'kernel k(p: *f32):\n    x = '; repeat '(' 10000; printf 1; repeat ')' 10000; printf '\n') >parens.tile
expect 1 "nested more than" parens.tile
(printf 'kernel k(p: *f32):\n    x = '; repeat '(' 10000) >opened.tile
expect 1 "nested more than" opened.tile
(printf 'kernel k(p: *f32):\n'
 awk 'BEGIN { s = "    "; for (i = 0; i < 10000; i++) { printf "%sif True:\n", s; s = s " " } print s "pass" }'
) >blocks.tile
expect 1 "nested more than" blocks.tile
(printf 'kernel k(p: *f32):\n    x = 1'; repeat ' + 1' 100000; printf '\n') >chain.tile
expect 1 "nested too deep" chain.tile
(printf 'kernel k(p: *f32):\n    x = '; repeat '-' 100000; printf '1\n') >minus.tile
expect 1 "nested too deep" minus.tile
(printf 'kernel k(p: *f32):\n    x = '; repeat 'not ' 100000; printf 'True\n') >nots.tile
expect 1 "nested too deep" nots.tile
(printf 'kernel k(p: *f32):\n    x = p'; repeat '.a' 100000; printf '\n') >dots.tile
expect 1 "nested too deep" dots.tile
(printf 'kernel k(p: *f32):\n    x = '; repeat '1 if True else ' 100000; printf '1\n') >conds.tile
expect 1 "nested too deep" conds.tile
(printf 'kernel k(p: *f32, n: int):\n    if n == 0:\n        pass\n'
 awk 'BEGIN { for (i = 0; i < 10000; i++) printf "    elif n == %d:\n        pass\n", i }') >elifs.tile
expect 1 "" elifs.tile
(printf 'kernel k(p: *f32):\n    x = ['; repeat '1,' 1000000; printf ']\n') >list.tile
expect 1 "list of 1000000 elements" list.tile
(printf 'kernel k('; repeat 'a: int, ' 20000; printf 'b: int):\n    pass\n') >params.tile
expect 1 "named twice" params.tile
(printf 'const X = '; repeat 9 100000; printf '\n') >bignum.tile
expect 1 "128 bits" bignum.tile
printf 'kernel k(p: *f32):\n    x = zeros([1000000000, 1000000000], f32)\n' >bigtile.tile
expect 1 "" bigtile.tile
cat >million.tile <<'END'
kernel k(p: *f32):
    x = full([1000, 1000], 0, f32)
    store(p + arange(0, 1000)[:, None] * 1000 + arange(0, 1000)[None, :], x)
END
expect 0 "" million.tile
printf 'kernel k(p: *f32):\n    for i in static_range(0, 1000000000):\n        store(p, 1.0)\n' >unroll.tile
expect 1 "to unroll" unroll.tile
cat >recursion.tile <<'END'
fn f(x):
    return g(x)
fn g(x):
    return f(x)
kernel k(p: *f32):
    store(p, f(1.0))
END
expect 1 "calls itself" recursion.tile
printf 'import "cycle_b.tile"\nfn a(x):\n    return x\nkernel k(p: *f32):\n    store(p, b(1.0))\n' >cycle_a.tile
printf 'import "cycle_a.tile"\nimport "cycle_b.tile"\nfn b(x):\n    return a(x)\n' >cycle_b.tile
expect 0 "" cycle_a.tile
printf 'import "nothing.tile"\n' >missing.tile
expect 1 "cannot open" missing.tile
printf 'import "."\n' >folder.tile
expect 1 "" folder.tile
printf 'kernel k(p: *f32):\n    s = "open\n    t = (1\n' >open.tile
expect 1 "no closing quote" open.tile
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "fn fn_%d(x):\n    return x\n", i }' >fns.tile
expect 0 "" fns.tile
(printf 'kernel k(p: *f32):\n'
 awk 'BEGIN { for (i = 0; i < 20000; i++) printf "    store(p + %d, %d.0)\n", i, i }') >long.tile
expect 0 "" long.tile
# IR text
printf 'tile-ir 1 stage=tir target=any\nkernel @k(' >short.tir
printf 'tile-ir 1 stage=tir target=any\nkernel @k() {\n' >open.tir
(printf 'tile-ir 1 stage=tir target=any\nkernel @k() {\n'; repeat '  if %0 {\n' 10000) >deep.tir
printf 'tile-ir 9 stage=tir target=any\n' >version.tir
cat >bigconst.tir <<'END'
tile-ir 1 stage=tir target=any
kernel @k() {
  %0 = const 99999999999999999999999999999999 : i64
  return
}
END
cat junk.tile >junk.tir
for f in short open deep version bigconst junk; do expect 1 "" $f.tir; done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
