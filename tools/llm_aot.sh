#!/bin/sh
# llm_aot.sh PROGRAM MODEL...: links PROGRAM, the language model engine with the kernels that these models need compiled
# ahead of time. What they need is what `llm kernels` writes down; a kernel under one choice of types, sizes and consts
# is an object of its own below PROGRAM.kernels, and stays there for the next time. AOT_TARGET, AOT_BINARIES: as
# `tilec build` takes them. JOBS: builds at a time.
program=${1:?usage: llm_aot.sh PROGRAM MODEL...}
shift
B=${B:-build/release} CC=${CC:-cc}
out=$program.kernels
target=${AOT_TARGET:-cpu} binaries=${AOT_BINARIES:-fast,wide}
mkdir -p "$out" || exit 1
rm -f "$out"/*.txt
n=0
for model; do
    n=$((n + 1))
    "$B/llm" kernels -m "$model" --out="$out/$n.list.txt" || exit 1
done

# a line a kernel; what the lists say of arguments in one buffer is put together. An object has its line's name
sort -u "$out"/*.list.txt | awk -v rest="--target=$target --binaries=$binaries" '
    { pairs = ""; key = "" }
    { for (i = 1; i <= NF; i++) if ($i ~ /^--in-place=/) pairs = substr($i, 12); else key = key " " $i }
    !(key in all) { all[key] = ""; order[++n] = key }
    { m = split(pairs, p, ","); for (i = 1; i <= m; i++) if (index("," all[key] ",", "," p[i] ",") == 0)
        all[key] = all[key] (all[key] == "" ? "" : ",") p[i] }
    END { for (i = 1; i <= n; i++) print order[i], "--in-place=" (all[order[i]] == "" ? "none" : all[order[i]]), rest }' |
    while read -r line; do echo "$(printf %s "$line" | cksum | tr ' ' -)" "$line"; done >"$out/all.txt"
echo "$(wc -l <"$out/all.txt") kernels"

# objects that are newer than the compiler and the kernel's file are used again
sed -i 's/$/ -Wno-all/' "$out/all.txt"
find "$out" -name '*.o' ! -newer "$B/tilec" -delete
xargs -P "${JOBS:-$(nproc)}" -L 1 sh -c 'o=$1/$2.o file=$3 tilec=$0
    [ -e "$o" ] && [ "$o" -nt "$file" ] && exit 0
    shift 2
    "$tilec" build -j 1 "$@" -o "$o.part" && mv "$o.part" "$o"' "$B/tilec" "$out" <"$out/all.txt" || exit 1

names=$(sed 's/.* --kernel=\([^ ]*\).*/\1/' "$out/all.txt" | sort -u)
{
    echo '#include <tile.h>'
    for k in $names; do echo "extern const tile_linked ${k}__linked;"; done
    echo 'typedef struct linked { const char *name; const tile_linked *at; } linked;'
    echo 'extern const linked llm_linked[];'
    echo 'const linked llm_linked[] = {'
    for k in $names; do echo "    {\"$k\", &${k}__linked},"; done
    echo '    {0, 0}};'
} >"$out/linked.c"
$CC $SAN -Iruntime -o "$program" "$out/linked.c" $(sed "s|\([^ ]*\) .*|$out/\1.o|" "$out/all.txt") -Wl,--gc-sections \
    -Wl,--start-group "$B/llm_aot/main.a" "$B/libtile_rt.a" -Wl,--end-group -ljansson -lpcre2-8 -lutf8proc -ledit -lm -lpthread
