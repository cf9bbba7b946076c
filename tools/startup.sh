#!/bin/sh
# startup.sh [TILEC...]: wall time of whole processes, median of 21: `tilec version`, `tilec check` of 200 lines, and a
# cold elementwise kernel and matrix product from source to result. Default: the shared and the static build in
# build/release.
[ $# -eq 0 ] && set -- build/release/tilec build/release/tilec-static
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
i=0
while [ "$(cat "$dir/lines.tile" 2>/dev/null | wc -l)" -lt 200 ]; do
    sed "s/kernel \([a-z_]*\)/kernel \1_$i/; s/^fn \([a-z_]*\)/fn \1_$i/" docs/pipeline.tile >>"$dir/lines.tile"
    i=$((i + 1))
done
TILE_CACHE_DIR=
export TILE_CACHE_DIR
median() {
    name=$1
    shift
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do
        a=$(date +%s%N)
        "$@" >/dev/null || exit 1
        b=$(date +%s%N)
        echo $(((b - a) / 1000))
    done | sort -n | sed -n 11p | awk -v n="$name" '{ printf "%-44s %8.2f ms\n", n, $1 / 1000 }'
}
for t in "$@"; do
    [ -x "$t" ] || continue
    echo "$t"
    median "  version" "$t" version
    median "  check, $(wc -l <"$dir/lines.tile") lines" "$t" check "$dir/lines.tile"
    median "  cold elementwise kernel to its result" "$t" run examples/add/add.tile add \
        x=arange:f32[1000] y=arange:f32[1000] out=zeros:f32[1000] n=1000
    TILE_CACHE_DIR=$dir/cache
    "$t" run examples/add/add.tile add x=arange:f32[1000] y=arange:f32[1000] out=zeros:f32[1000] n=1000 >/dev/null || exit 1
    median "  the same, its code on disk" "$t" run examples/add/add.tile add \
        x=arange:f32[1000] y=arange:f32[1000] out=zeros:f32[1000] n=1000
    TILE_CACHE_DIR=
    median "  cold matrix product to its result" "$t" run kernels/matmul.tile matmul \
        a=rand:f32[128,128] b=rand:f32[128,128] c=zeros:f32[128,128]
done
