#!/bin/sh
# ptxas.sh TILEC: the laid-out kernels as ptxas sees them: no spill, and no note that it had to serialise or wait
# (C75xx). Without a ptxas each kernel counts as skipped; that its PTX can be made at all is tested everywhere.
tilec=${1:?usage: ptxas.sh TILEC}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
PATH=$PATH:/usr/local/cuda/bin
passed=0 failed=0 skipped=0
for f in tests/lower/nvptx/hand/*.tir; do
    name=$(basename "$f" .tir)
    kernel=$(sed -n 's/^kernel @\([a-z_]*\).*/\1/p' "$f")
    if ! "$tilec" emit "$f" --stage=asm --target=cuda:sm_90a --kernel="$kernel" -o "$dir/k.ptx" 2>"$dir/log"; then
        failed=$((failed + 1))
        echo "FAILED: $name: no PTX"
        cat "$dir/log"
        continue
    fi
    passed=$((passed + 1))
    if ! command -v ptxas >/dev/null; then
        skipped=$((skipped + 1))
        continue
    fi
    ptxas -arch=sm_90a -v "$dir/k.ptx" -o "$dir/k.cubin" >"$dir/log" 2>&1
    code=$?
    if [ $code -eq 0 ] && ! grep -q 'C75' "$dir/log" &&
        grep -q ' 0 bytes spill stores, 0 bytes spill loads' "$dir/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        cat "$dir/log"
    fi
done

# lines of the source reach the machine code, for profilers and debuggers
printf 'kernel scale(x: *f32, n: i32) grid(n):\n    store(x + program_id(0), 2.0)\n' >"$dir/lines.tile"
"$tilec" emit "$dir/lines.tile" --target=cuda:sm_90a --stage=asm -o "$dir/k.ptx" >"$dir/log" 2>&1
if ! command -v ptxas >/dev/null; then
    skipped=$((skipped + 1))
elif ptxas -arch=sm_90a "$dir/k.ptx" -o "$dir/k.cubin" >>"$dir/log" 2>&1 &&
    grep -aq '\.debug_line' "$dir/k.cubin" && grep -aq 'lines\.tile' "$dir/k.cubin"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED: no lines of the source in the machine code"
    cat "$dir/log"
fi
[ $skipped -eq 0 ] || echo "skip: $skipped looks, for there is no ptxas to look at their registers"
[ $((passed + failed)) -ge 12 ] || { failed=$((failed + 1)); echo "FAILED: only $passed kernels were found"; }
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
