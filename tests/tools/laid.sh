#!/bin/sh
# laid.sh TILEC: text of the laid-out stage on the command line: read back at its own stage byte for byte, refused where
# it is wrong, run by the interpreter whatever its target, and its faults named.
#
# The last line is `N passed, N failed`; the exit code is 1 when any failed.
tilec=${1:?usage: laid.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
here=$PWD
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
. "${0%/*}/../expect.sh"
cd "$dir" || exit 1
passed=0 failed=0

for f in laid laid_gemm; do
    sed 1d "$here/tests/ir/$f.tir" >want.tir
    expect 0 'stage=laid' "$tilec" emit want.tir --stage=laid --target=cuda:sm_90a
    if cmp -s want.tir out; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $f.tir does not come back from stage laid"
    fi
done

# a product of 3 x 2 and the transpose of 2 x 2, through a ring of three slots and two consumers; most of it is padding
cp "$here/tests/ir/laid_gemm.tir" gemm.tir
expect 0 'c: f16[3,2]: 1 3 3 13 5 23' "$tilec" run gemm.tir gemm --device=interp --grid=1 \
    'a=arange:f16[3,2]' 'b=arange:f16[2,2]' 'c=zeros:f16[3,2]'
expect 1 "laid out for target 'cuda:sm_90a', not for 'cpu'" "$tilec" run gemm.tir gemm --device=cpu --grid=1 \
    'a=arange:f16[3,2]' 'b=arange:f16[2,2]' 'c=zeros:f16[3,2]'

# without its consumers' exits the ring fills up: seen by the verifier, or where there is no target, by the interpreter
sed '/get_exit/d' gemm.tir >stuck.tir
expect 1 "each round enters 1 slots of the channel more than it leaves" "$tilec" check stuck.tir
sed 's/target=cuda:sm_90a/target=any/' stuck.tir >stuck_any.tir
fault='get_enter %0, %30 : shared<128x64xf16, #1>, shared<64x64xf16, #2>: position 3 gets slot 0 in round 1, which is'
expect 3 "$fault entered already" "$tilec" run stuck_any.tir gemm \
    --device=interp --grid=1 'a=zeros:f16[128,640]' 'b=zeros:f16[64,640]' 'c=zeros:f16[128,64]'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
