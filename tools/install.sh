#!/bin/sh
# install.sh: copies what users need below $DESTDIR$PREFIX: header, libraries, pkg-config file, tilec, kernels.
set -e
to=$DESTDIR$PREFIX
install -d "$to/include" "$to/lib/pkgconfig" "$to/bin" "$to/share/tile/kernels/std" "$to/share/tile/kernels/llm"
install -m 644 runtime/tile.h "$to/include/tile.h"
install -m 644 "$B/libtile.a" "$to/lib/libtile.a"
install -m 755 "$B/libtile.so.$VERSION" "$to/lib/libtile.so.$VERSION"
install -m 755 "$B/libtile_llvm.so" "$to/lib/libtile_llvm.so"
install -m 644 "$B/libtile_rt.a" "$to/lib/libtile_rt.a"
install -m 755 "$B/libtile_rt.so.$VERSION" "$to/lib/libtile_rt.so.$VERSION"
ln -sf "libtile_rt.so.$VERSION" "$to/lib/libtile_rt.so.$SOVERSION"
ln -sf "libtile_rt.so.$SOVERSION" "$to/lib/libtile_rt.so"
ln -sf "libtile.so.$VERSION" "$to/lib/libtile.so.$SOVERSION"
ln -sf "libtile.so.$SOVERSION" "$to/lib/libtile.so"
install -m 755 "$B/tilec" "$to/bin/tilec"
install -m 644 kernels/*.tile "$to/share/tile/kernels/"
install -m 644 kernels/std/*.tile "$to/share/tile/kernels/std/"
install -m 755 "$B/llm" "$to/bin/llm"
install -m 644 examples/llm/kernels/*.tile "$to/share/tile/kernels/llm/"
cat > "$to/lib/pkgconfig/tile.pc" <<PC
prefix=$PREFIX
includedir=\${prefix}/include
libdir=\${prefix}/lib
kernels=\${prefix}/share/tile/kernels

Name: tile
Description: compiler and runtime for block-level kernels
Version: $VERSION
Cflags: -I\${includedir}
Libs: -L\${libdir} -ltile
Libs.private: $LLVM_LD -lffi -lm -ldl -lpthread
PC
cat > "$to/lib/pkgconfig/tile_rt.pc" <<PC
prefix=$PREFIX
includedir=\${prefix}/include
libdir=\${prefix}/lib
tilec=\${prefix}/bin/tilec
archive=\${libdir}/libtile_rt.a

Name: tile_rt
Description: runtime of kernels compiled ahead of time by tilec build; no compiler in it
Version: $VERSION
Cflags: -I\${includedir}
Libs: -L\${libdir} -ltile_rt
Libs.private: -lm -lpthread
PC
echo "installed to $to"
