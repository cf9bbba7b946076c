#!/bin/sh
# amx.sh TILEC: code for AMX: products of bf16 and of bytes of any signs are made by its instructions, the tiles' shape is loaded
# and they are given back, nothing of it is in code for less; and kernels of the library (arm_use.c) are right at every level of
# x86-64 that this machine has, by the tiles themselves where there are such. The unit test test_dot runs the same code everywhere.
tilec=${1:?usage: amx.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
build=${tilec%/*} root=$PWD
objdump=$(command -v llvm-objdump-22 || command -v llvm-objdump || command -v objdump)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
. "$root/tests/expect.sh"
case $VARIANT in
asan) san=-fsanitize=address ;;
ubsan) san=-fsanitize=undefined ;;
*) san= ;;
esac

# uses OBJECT: the instructions on tiles that it has, each once
uses() {
    "$objdump" -d --no-show-raw-insn "$1" | awk -F '\t' '$2 ~ /^(ldtile|tile|tdp)/ { sub(/ .*/, "", $2); print $2 }' |
        sort -u | tr '\n' ' '
}

# code WHAT EXPECTED FILE KERNEL ARG...: instructions on tiles in a kernel's code for the levels given
code() {
    what=$1 want=$2 file=$3 kernel=$4
    shift 4
    "$tilec" build "$root/kernels/$file.tile" --kernel="$kernel" -o one.o "$@" || failed=$((failed + 1))
    is "$what" "$want" "$(uses one.o)"
}

cd "$dir" || exit 1
frame='tileloadd tilerelease tilestored '
code "bf16" "ldtilecfg tdpbf16ps $frame" matmul matmul -D T=bf16 --target=cpu:x86-64-v4-amx
code "bf16, no tiles" "" matmul matmul -D T=bf16 --target=cpu:x86-64-v4-bf16
code "f32" "" matmul matmul -D T=f32 --target=cpu:x86-64-v4-amx
code "bytes" "ldtilecfg tdpbssd tdpbsud tdpbusd tdpbuud $frame" matmul_narrow matmul_i8 --target=cpu:x86-64-v4-amx
code "bytes, no tiles" "" matmul_narrow matmul_i8 --target=cpu:x86-64-v4-bf16,cpu:x86-64-v3,cpu:x86-64-v2
code "bf16, of all levels" "ldtilecfg tdpbf16ps $frame" matmul matmul -D T=bf16 --target=cpu

# begins and ends once a kernel: each entry has as many ways in as out
"$tilec" emit "$root/kernels/matmul.tile" --kernel=matmul -D T=bf16 --target=cpu:x86-64-v4-amx --stage=asm -o one.s
entry=$(sed -n '/^matmul[a-z0-9_.]*:/,/\.size/p' one.s)
is "shapes are loaded, registers given back" "1 1" "$(echo "$entry" | grep -c ldtilecfg) $(echo "$entry" | grep -c tilerelease)"

cp "$root/tests/tools/arm_use.c" use.c
one() {
    file=$1
    shift
    "$tilec" build "$root/kernels/$file.tile" -o "$file.o" --header="$file.h" "$@" || failed=$((failed + 1))
}
one elementwise --kernel=add --kernel=gelu
one softmax --kernel=softmax -D T=f32
one rmsnorm --kernel=rmsnorm -D T=f32 -D W=f32
one matmul --kernel=matmul
one matmul_narrow --kernel=matmul_i8
one matvec_quant --kernel=matvec_q8_0 --kernel=matvec_q4_0
one attention --kernel=attention -D T=f32 -D C=f32 -D lens=None
rm one.o
cc $san -std=c11 -O1 -Wall -Wextra -Werror -I. -I"$root/runtime" use.c ./*.o "$build/libtile_rt.a" -lm -lpthread -o use || failed=$((failed + 1))
bytes=$(TILE_CPU=x86-64-v2 ./use 2>&1 | grep '8 .8')
has() {
    grep -q -w "$1" /proc/cpuinfo
}
for level in x86-64-v2 x86-64-v3 x86-64-v4 x86-64-v4-bf16 x86-64-v4-amx; do
    case $level in
    *v3) has avx2 ;;
    *v4) has avx512bw ;;
    *bf16) has avx512_bf16 ;;
    *amx) has amx_bf16 && has amx_int8 ;;
    esac || {
        skipped=$((skipped + 1))
        echo "skip: running code for $level: this processor is less"
        continue
    }
    TILE_CPU=$level ./use >found 2>&1
    is "kernels, $level: all right" "16 0" "$(grep -c ' right$' found) $(grep -vc ' right$' found)"
    is "kernels, $level: bytes as by x86-64-v2" "$bytes" "$(grep '8 .8' found)"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
