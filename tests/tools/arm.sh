#!/bin/sh
# arm.sh TILEC: code for aarch64 processors, run by qemu-aarch64: objects of `tilec build` and libtile_rt, built by a cross
# compiler. The program of aot.sh answers as on x86-64; kernels of the library (arm_use.c) are right, and, but for sums of
# products of bf16, give the bits that x86-64-v2 gives, whose vectors are as wide. Without the tools: one skip.
tilec=${1:?usage: arm.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
build=${tilec%/*} root=$PWD cross=${CROSS:-aarch64-linux-gnu}-
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
. "$root/tests/expect.sh"

# objects OUT TARGET: the kernels that arm_use.c calls
objects() {
    one() {
        file=$1
        shift
        "$tilec" build "$root/kernels/$file.tile" -o "$out-$file.o" --header="$file.h" --target="$target" "$@" || failed=$((failed + 1))
    }
    out=$1 target=$2
    one elementwise --kernel=add --kernel=gelu
    one softmax --kernel=softmax -D T=f32
    one rmsnorm --kernel=rmsnorm -D T=f32 -D W=f32
    one matmul --kernel=matmul
    one matmul_narrow --kernel=matmul_i8
    one matvec_quant --kernel=matvec_q8_0 --kernel=matvec_q4_0
    one attention --kernel=attention -D T=f32 -D C=f32 -D lens=None
}

cd "$dir" || exit 1
cp "$root/tests/tools/aot.tile" "$root/tests/tools/aot_use.c" "$root/tests/tools/arm_use.c" .
"$tilec" build aot.tile -o aot.o --header=aot.h -D N=64 -D N=100 -D bias=given -D bias=None --target=cpu:aarch64 || failed=$((failed + 1))
is "machine" "AArch64" "$(readelf -h aot.o | sed -n 's/ *Machine: *//p')"
is "stack is not executable" "1" "$(readelf -SW aot.o | grep -c 'note.GNU-stack')"
found=$("$tilec" build aot.tile -o x.o -D N=64 --target=cpu,cpu:aarch64 2>&1)
is "two architectures" "2 tilec: an object is for one kind of processor, found x86-64 and aarch64" "$? $found"
objects arm cpu:aarch64

if ! command -v qemu-aarch64 >/dev/null || ! echo 'int main(void) { return 0; }' | ${cross}gcc -x c -static -o try - 2>/dev/null; then
    echo "skip: running code for aarch64: needs qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"
    skipped=1
elif [ -n "$VARIANT" ]; then
    echo "skip: running code for aarch64: not under sanitizers"
    skipped=1
else
    make -s -C "$root" B="$dir/rt" CC=${cross}gcc OBJCOPY=${cross}objcopy CCACHE= "$dir/rt/libtile_rt.a" >log 2>&1 || cat log
    arm() {
        ${cross}gcc -std=c11 -O1 -Wall -Wextra -Werror -static -I. -I"$root/runtime" "$@" rt/libtile_rt.a -lm -lpthread
    }
    arm aot_use.c aot.o -o use
    arm arm_use.c arm-*.o -o kernels
    objects x86 cpu:x86-64-v2
    cc -std=c11 -O1 -I. -I"$root/runtime" arm_use.c x86-*.o "$build/libtile_rt.a" -lm -lpthread -o native
    want=$(./native)
    for level in aarch64 aarch64-dotprod aarch64-bf16; do
        is "results, $level" "$(cat "$root/tests/tools/aot.want")" "$(TILE_CPU=$level qemu-aarch64 -cpu max ./use 2>&1)"
        TILE_CPU=$level qemu-aarch64 -cpu max ./kernels >found 2>&1
        is "kernels, $level: all right" "16 0" "$(grep -c ' right$' found) $(grep -vc ' right$' found)"
        is "kernels, $level: the bits of x86-64-v2" "$(echo "$want" | grep -v 'matmul bf16')" "$(grep -v 'matmul bf16' found)"
    done
    is "an old processor" "$want" "$(qemu-aarch64 -cpu cortex-a57 ./kernels 2>&1)"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
