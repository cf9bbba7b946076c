#!/bin/sh
# abi.sh TILEC: the installed library from other languages: the layout of tile.h's structs as a C compiler has it and as
# the Python example writes it down, and the examples in C++, Python and C with an ahead-of-time object, built as their
# files say. VARIANT as in all.sh.
tilec=${1:?usage: abi.sh TILEC}
build=${tilec%/*}
if [ -n "$VARIANT" ]; then
    echo "skip: examples of the installed library: sanitizers need their libraries first in the process"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
TILE_CACHE_DIR=
PKG_CONFIG_PATH=$dir/tile/lib/pkgconfig
export TILE_CACHE_DIR PKG_CONFIG_PATH
make --no-print-directory -s install B="$build" PREFIX="$dir/tile" ${DEFS:+DEFS="$DEFS"} >"$dir/log" 2>&1 || cat "$dir/log"
LD_LIBRARY_PATH=$dir/tile/lib
export LD_LIBRARY_PATH

# gives WHAT TEXT COMMAND...: it ends well and prints the text
gives() {
    what=$1 text=$2
    shift 2
    found=$("$@" 2>&1)
    code=$?
    if [ "$code $found" = "0 $text" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: expected '$text', found $code '$found'"
    fi
}

cat >"$dir/layout.c" <<'END'
#include <stddef.h>
#include <stdio.h>
#include <tile.h>
#define SIZE(t) printf(#t " %zu\n", sizeof(t))
#define AT(t, f) printf(#t "." #f " %zu\n", offsetof(t, f))
int main(void)
{
    SIZE(tile_error), AT(tile_error, code), AT(tile_error, text);
    SIZE(tile_tensor), AT(tile_tensor, data), AT(tile_tensor, dtype), AT(tile_tensor, rank), AT(tile_tensor, sizes);
    AT(tile_tensor, strides);
    SIZE(tile_arg), AT(tile_arg, kind), AT(tile_arg, dtype), AT(tile_arg, bytes), AT(tile_arg, u);
    SIZE(tile_options), AT(tile_options, defines), AT(tile_options, import_dirs), AT(tile_options, ndefines);
    printf("TILE_F32 %d\nTILE_ARG_TENSOR %d\n", TILE_F32, TILE_ARG_TENSOR);
    return 0;
}
END
# version 1 of the ABI: a change here breaks programs that were compiled before
layout='tile_error 4096
tile_error.code 0
tile_error.text 4
tile_tensor 96
tile_tensor.data 0
tile_tensor.dtype 8
tile_tensor.rank 12
tile_tensor.sizes 16
tile_tensor.strides 56
tile_arg 24
tile_arg.kind 0
tile_arg.dtype 4
tile_arg.bytes 8
tile_arg.u 16
tile_options 32
tile_options.defines 0
tile_options.import_dirs 8
tile_options.ndefines 16
TILE_F32 12
TILE_ARG_TENSOR 4'
flags=$(pkg-config --cflags tile)
cc $flags "$dir/layout.c" -o "$dir/layout" && gives "layout in C" "$layout" "$dir/layout"
c++ -x c++ -Wno-invalid-offsetof $flags "$dir/layout.c" -o "$dir/layout" && gives "layout in C++" "$layout" "$dir/layout"

c++ -std=c++14 -Wall -Wextra -Werror examples/cpp/scale.cpp -o "$dir/scale" $flags $(pkg-config --libs tile)
gives "C++" "scale: 0 wrong" "$dir/scale"
if command -v python3 >/dev/null; then
    gives "Python" "scale: 0 wrong" python3 examples/python/scale.py "$dir/tile/lib/libtile.so"
    cat >"$dir/layout.py" <<'END'
import sys, re, ctypes
text = open("examples/python/scale.py").read()
space = {}
exec(text[:text.index("TEXT =")], space)
def show(name, t):
    print(name, ctypes.sizeof(t))
    for f, _ in t._fields_:
        print(f"{name}.{f}", getattr(t, f).offset)
show("tile_error", space["Error"])
show("tile_tensor", space["Tensor"])
show("tile_arg", space["Arg"])
END
    gives "layout in Python" "$(echo "$layout" | grep -vE 'options|TILE')" python3 "$dir/layout.py"
else
    skipped=$((skipped + 2))
    echo "skip: Python's example: no python3"
fi
cp -r examples/aot "$dir/aot"
make -s -C "$dir/aot" >"$dir/log" 2>&1 || cat "$dir/log"
gives "ahead of time" "rows: 1000 rows, 0 wrong
another size: kernel 'rows': rows.tile:2: dimension 0 of argument 'y' must equal 'M': expected 1000, found 999" \
    env LD_LIBRARY_PATH= "$dir/aot/rows"
cc -I"$dir/aot" "$dir/aot/rows.c" "$dir/aot/rows.o" -o "$dir/aot/shared" $(pkg-config --cflags --libs tile_rt)
gives "libtile_rt.so" "rows: 1000 rows, 0 wrong" sh -c '"$0" | head -n 1' "$dir/aot/shared"
cc -I"$dir/aot" "$dir/aot/rows.c" "$dir/aot/rows.o" -o "$dir/aot/both" $(pkg-config --cflags --libs tile)
gives "the same with libtile.so" "rows: 1000 rows, 0 wrong" sh -c '"$0" | head -n 1' "$dir/aot/both"
# every function of tile.h is explained in docs/runtime.md, called by a test and in the library, which has no others but
# those that objects made ahead of time call
declared=$(awk '/^[a-z].*[ *]tile_[a-z0-9_]*\(/ && !/^typedef/ { sub(/\(.*/, ""); sub(/.*[ *]/, ""); print }' runtime/tile.h | sort)
own=$(awk '/^static inline/ { sub(/\(.*/, ""); sub(/.*[ *]/, ""); print }' runtime/tile.h | sort)
gives "functions of tile.h, at least 45" "yes" sh -c '[ $(echo "$0" | wc -l) -ge 45 ] && echo yes' "$declared"
gives "all in docs/runtime.md" "" sh -c 'for f in $0; do grep -qw "$f" docs/runtime.md || echo "$f"; done' "$declared"
gives "all called by tests" "" sh -c 'cat tests/*/*.c >"$1"; for f in $0; do grep -qE "(^|[^a-z_])$f\(" "$1" || echo "$f"; done' "$declared" "$dir/calls"
exported() {
    nm -D --defined-only "$dir/tile/lib/$1" | awk '$3 !~ /^TILE_0/ { sub(/@.*/, "", $3); print $3 }' | sort
}
printf '%s\n' "$declared" >"$dir/declared"
printf '%s\n' "$own" >"$dir/own"
gives "all in libtile.so, and no others" "" sh -c 'comm -23 "$1/declared" "$1/own" >"$1/want"
    echo "$0" | grep -vE "^tile_(rt|aot)_" | comm -3 - "$1/want"' "$(exported libtile.so)" "$dir"
gives "libtile_rt.so has no others" "" sh -c 'echo "$0" | grep -vE "^tile_(rt|aot)_" | comm -23 - "$1/want"' "$(exported libtile_rt.so)" "$dir"
gives "no more than tile.h's names" "" sh -c "nm -D --defined-only '$dir/tile/lib/libtile_rt.so' | awk '\$3 !~ /^(tile_|TILE_0)/'"
gives "no more in the archive" "" sh -c "nm -g --defined-only '$dir/tile/lib/libtile_rt.a' | awk 'NF == 3 && \$3 !~ /^tile_/'"
gives "soname" "libtile_rt.so.0" sh -c "objdump -p '$dir/tile/lib/libtile_rt.so' | awk '/SONAME/ {print \$2}'"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
