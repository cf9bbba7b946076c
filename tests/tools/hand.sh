#!/bin/sh
# hand.sh TILEC: the laid-out kernels of tests/lower/nvptx/hand by the interpreter against float64 (tile-bench --check),
# and that a wrong one is found.
bench=$(dirname "${1:?usage: hand.sh TILEC}")/tile-bench
kernels=tests/lower/nvptx/hand
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
"$bench" --check --device=interp --kernels=$kernels >"$dir/all"
grep -vE '^(ok|     )|passed' "$dir/all"
counts=$(tail -n 1 "$dir/all")
passed=$(echo "$counts" | sed 's/ passed.*//') failed=$(echo "$counts" | sed 's/.*passed, \([0-9]*\) failed.*/\1/')
skipped=$(echo "$counts" | sed 's/.*failed, \([0-9]*\) skipped.*/\1/')

# must_fail FILE WHAT SED: the kernel, so changed, is refused or gives other numbers in every case
must_fail() {
    mkdir -p "$dir/$1"
    sed "$3" "$kernels/$1.tir" >"$dir/$1/$1.tir"
    if cmp -s "$kernels/$1.tir" "$dir/$1/$1.tir"; then
        failed=$((failed + 1))
        echo "FAIL $1: nothing to change for '$2'"
    elif "$bench" --check --device=interp --timeout=20 --kernels="$dir/$1" >"$dir/out" 2>&1; then
        failed=$((failed + 1))
        echo "FAIL $1 with $2 passes"
    else
        passed=$((passed + 1))
    fi
    rm -rf "${dir:?}/$1"
}

must_fail gemm_f16 "half of each step's depth again" 's|%bk = const 64 : i32|%bk = const 32 : i32|'
must_fail gemm_bf16 "another program's part of a sum left out" 's|%firsts = select %is1c, %first1, %first2|%firsts = select %is1c, %pid, %pid|'
must_fail fa_d64_causal "tickets left out" 's|atomic_rmw %ticket, %1 |atomic_rmw %ticket, %np |'
must_fail rmsnorm_any "the mean in the place of eps" 's/%me = add %mean, %eps : f32/%me = add %mean, %mean : f32/'
must_fail softmax_any "a sum a little off" 's/%one = const 0x1p+0 : f32/%one = const 0x1.01p+0 : f32/'
echo "$passed passed, $failed failed, ${skipped:-0} skipped"
[ "$failed" -eq 0 ]
