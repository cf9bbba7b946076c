#!/bin/sh
# runner.sh TEST-RUNNER: the test runner itself: what must fail fails, what is skipped is counted, blessing rewrites.
#
#   expect CODE 'TEXT' COMMAND...
runner=${1:?usage: runner.sh TEST-RUNNER}
case $runner in /*) ;; *) runner=$PWD/$runner ;; esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
. "${0%/*}/../expect.sh"
cd "$dir" || exit 1
passed=0 failed=0

body='kernel k(x: *f32) grid(1):
    store(x, 1.0)'
bad='kernel k(x: *f32) grid(1):
    store(x, yy)'

expect 2 'usage' "$runner" --frob
expect 1 'no file' "$runner" missing.tile
printf '# test: frob\n%s\n' "$body" >kind.tile
expect 1 'unknown kind' "$runner" kind.tile
printf '%s\n' "$body" >plain.tile
expect 0 '0 passed, 0 failed, 0 skipped' "$runner" plain.tile
printf '# test: check\n# skip: not today\n%s\n' "$bad" >skip.tile
expect 0 'SKIPPED skip.tile: not today' "$runner" skip.tile
expect 0 '0 passed, 0 failed, 1 skipped' "$runner" skip.tile

# expected diagnostics
printf '# test: check\n%s\n' "$body" >good.tile
expect 0 '1 passed' "$runner" good.tile
printf '# test: check\n%s\n' "$bad" >extra.tile
expect 1 'unexpected error' "$runner" extra.tile
printf "# test: check\n%s # error: 'yy'\n" "$bad" >met.tile
expect 0 '1 passed' "$runner" met.tile
printf "# test: check\n%s # error@14-15: 'yy'\n" "$bad" >columns.tile
expect 0 '1 passed' "$runner" columns.tile
printf "# test: check\n%s # error@14-16: 'yy'\n" "$bad" >wrongcol.tile
expect 1 'with these columns' "$runner" wrongcol.tile
expect 0 '1 passed' "$runner" --met met.txt columns.tile
expect 0 'UNKNOWN_NAME' cat met.txt
expect 0 '1 passed' "$runner" --met met.txt met.tile
expect 0 '0 met.txt' wc -c met.txt
expect 2 'usage' "$runner" --met
printf "# test: check\n%s # error: 'zz'\n" "$bad" >wrongtext.tile
expect 1 'expected error' "$runner" wrongtext.tile
printf "# test: check\n# error: 'yy'\n%s\n" "$bad" >wrongline.tile
expect 1 'expected error' "$runner" wrongline.tile
printf "# test: check\n%s # error: 'yy' # error: another\n" "$bad" >missing.tile
expect 1 'expected error: another' "$runner" missing.tile
printf "# test: check\n# error-next-line: other\n%s\n# error-prev: 'yy'\n" "$bad" >places.tile
expect 1 'expected error: other' "$runner" places.tile
expect 1 '1 failed' "$runner" places.tile
printf "# test: check\n%s\n# error-anywhere: 'yy'\n" "$bad" >anywhere.tile
expect 0 '1 passed' "$runner" anywhere.tile

# golden texts
printf '# test: lower\n%s\n' "$body" >low.tile
expect 1 'no golden text' "$runner" low.tile
expect 0 '1 passed' env TILE_BLESS=1 "$runner" low.tile
expect 0 '1 passed' "$runner" low.tile
sed 's/store/trap/' low.tir >t && mv t low.tir
expect 1 '-   trap' "$runner" low.tile
printf '# test: ast\n%s\n' "$body" >tree.tile
expect 0 '1 passed' env TILE_BLESS=1 "$runner" tree.tile
expect 0 '1 passed' "$runner" tree.tile
echo more >>tree.ast
expect 1 '- more' "$runner" tree.tile
cat >fold.tir <<'END'
// test: pass fold
tile-ir 1 stage=tir target=any
fn @f(%a: i32) -> (i32) {
  %0 = const 0 : i32
  %1 = add %a, %0 : i32
  return %1
}
END
expect 1 'no ' "$runner" fold.tir
expect 0 '1 passed' env TILE_BLESS=1 "$runner" fold.tir
expect 0 '1 passed' "$runner" fold.tir
expect 0 '//   return %a' cat fold.tir
sed 's|//   return %a|//   return %b|' fold.tir >t && mv t fold.tir
expect 1 '-   return %b' "$runner" fold.tir
printf '// test: pass frob\ntile-ir 1 stage=tir target=any\n// expect:\n' >nopass.tir
expect 1 "no pass 'frob'" "$runner" nopass.tir
cat >trip.tir <<'END'
// test: round-trip
tile-ir 1 stage=tir target=any
fn @f(%q: i32) -> (i32) {
  %9 = add %q, %q : i32
  return %9
}
END
expect 1 '-   %9 = add' "$runner" trip.tir
expect 0 '1 passed' env TILE_BLESS=1 "$runner" trip.tir
expect 0 '1 passed' "$runner" trip.tir
printf '# test: lower cpu\n# contains: define\n# contains: frob\n%s\n' "$body" >cont.tile
expect 1 "'frob' not found" "$runner" cont.tile
printf '# test: lower cpu\n# contains: define\n# absent: define\n%s\n' "$body" >absent.tile
expect 1 "'define' is there" "$runner" absent.tile
printf '# test: lower cpu\n%s\n' "$body" >nothing.tile
expect 1 "no 'contains:'" "$runner" nothing.tile

# runs
printf '# test: run interp\n# run: k x=zeros:f32[2]\n%s\n' "$body" >run.tile
expect 1 '+ x: f32[2]: 1 0' "$runner" run.tile
expect 0 '1 passed' env TILE_BLESS=1 "$runner" run.tile
expect 0 '#   x: f32[2]: 1 0' cat run.tile
expect 0 '1 passed' "$runner" run.tile
printf '# test: run interp\n# run: k x=zeros:f16[2]\n# fails: another reason\n%s\n' "$body" >fails.tile
expect 1 "expected 'another reason'" "$runner" fails.tile
printf "# test: run interp\n# run: k x=zeros:f16[2]\n# fails: expected elements of 'f32'\n%s\n" "$body" >refused.tile
expect 0 '1 passed' "$runner" refused.tile
printf '# test: run interp\n# run: k x=zeros:f32[2]\n# fails: anything\n%s\n' "$body" >works.tile
expect 1 'expected to fail, did not' "$runner" works.tile
printf '# test: run interp\n%s\n' "$body" >norun.tile
expect 1 "no 'run:'" "$runner" norun.tile

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
