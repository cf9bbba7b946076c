#!/bin/sh
# install.sh: the install, tried: a program of ten lines is compiled against pkg-config's answer, shared and static, and
# run; so is the installed tilec.
set -e
B=${B:-build/test}
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
make --no-print-directory -s install B="$B" DESTDIR="$top" PREFIX=/opt/tile ${DEFS:+DEFS="$DEFS"} >/dev/null
at=$top/opt/tile
PKG_CONFIG_PATH=$at/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$top
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
cat > "$top/p.c" <<'C'
#include <stdio.h>
#include <tile.h>
int main(void)
{
    tile_error e;
    tile_device *d = tile_device_open("cpu", &e);
    if (!d) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    float x = 20.5f;
    tile_arg a = tile_arg_ptr(&x, TILE_F32);
    tile_module *m = tile_module_from_string(d, "k.tile", "kernel k(x: *f32) grid(1):\n    store(x, load(x) * 2.0)\n",
                                             NULL, &e);
    tile_kernel *k = m ? tile_kernel_find(m, "k", &e) : NULL;
    if (!k || tile_launch(k, NULL, NULL, &a, 1, &e) != TILE_OK || x != 41) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("tile %s\n", tile_version());
    tile_module_close(m);
    tile_device_close(d);
    return 0;
}
C
TILE_CACHE_DIR=
export TILE_CACHE_DIR
cc "$top/p.c" -o "$top/shared" $(pkg-config --cflags --libs tile)
LD_LIBRARY_PATH=$at/lib "$top/shared" | grep -q "^tile $(pkg-config --modversion tile)$"
libs=$(pkg-config --static --libs tile | sed 's/-ltile//')
cc "$top/p.c" -o "$top/static" $(pkg-config --cflags tile) "$at/lib/libtile.a" $libs
"$top/static" | grep -q '^tile '
"$at/bin/tilec" version | grep -q "$(pkg-config --modversion tile)"
"$at/bin/tilec" check "$at"/share/tile/kernels/*.tile
"$at/bin/tilec" check -I "$at/share/tile/kernels" "$at"/share/tile/kernels/llm/*.tile
"$at/bin/llm" --help | grep -q "llm chat"
[ "$(nm -D --defined-only "$at/lib/libtile.so" | awk '$3 !~ /^(tile_|TILE_0)/' | wc -l)" = 0 ]
# LLVM is in the library beside: the rest runs without it, compiling says what is missing
if ldd "$at/lib/libtile.so" | grep -q LLVM; then exit 1; fi
mv "$at/lib/libtile_llvm.so" "$top/away"
if LD_LIBRARY_PATH=$at/lib "$top/shared" 2>"$top/log"; then exit 1; fi
grep -q "the code generator can't be opened: libtile_llvm.so" "$top/log"
TILE_LLVM=$top/away LD_LIBRARY_PATH=$at/lib "$top/shared" | grep -q '^tile '
echo "7 passed, 0 failed, 0 skipped"
