#!/bin/sh
# aot.sh TILEC: objects of `tilec build` in C programs: results at every level of the processor and under every set of
# facts, checks of arguments, two objects in one program, what is visible, the floor of the C library, and a build in a
# root that has nothing but a C compiler. VARIANT as in all.sh.
tilec=${1:?usage: aot.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
build=${tilec%/*} root=$PWD
FLOOR=2.34 # of the C library, for what is built on Debian 12; docs/aot.md states it
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
. "$root/tests/expect.sh"
case $VARIANT in
asan) san=-fsanitize=address ;;
ubsan) san=-fsanitize=undefined ;;
*) san= ;;
esac

# refuses WHAT CODE TEXT ARG...: tilec build ends so
refuses() {
    what=$1 exit=$2 text=$3
    shift 3
    found=$("$tilec" build "$@" 2>&1)
    code=$?
    case "$code $found" in
    "$exit "*"$text"*) passed=$((passed + 1)) ;;
    *) failed=$((failed + 1)) && echo "FAILED: $what: expected $exit '$text', found $code '$found'" ;;
    esac
}

link() {
    cc $san -std=c11 -Wall -Wextra -Werror -I. -I"$root/runtime" "$@" "$build/libtile_rt.a" -lm -lpthread
}

cd "$dir" || exit 1
cp "$root/tests/tools/aot.tile" "$root/tests/tools/aot_use.c" "$root/examples/aot/rows.tile" .
"$tilec" build aot.tile -o aot.o --header=aot.h -D N=64 -D N=100 -D bias=given -D bias=None || failed=$((failed + 1))
link aot_use.c aot.o -o use || failed=$((failed + 1))
want=$(cat "$root/tests/tools/aot.want")
is "results" "$want" "$(./use 2>&1)"
for level in x86-64-v4-amx x86-64-v4-bf16 x86-64-v4 x86-64-v3 x86-64-v2; do
    is "results, $level" "$want" "$(TILE_CPU=$level ./use 2>&1)"
    "$tilec" build aot.tile --target=cpu:$level -o one.o --header=aot.h -D N=64 -D N=100 &&
        link aot_use.c one.o -o one
    found=$(./one 2>&1)
    case $found in
    *"this processor, or its system, is less"*)
        skipped=$((skipped + 1))
        echo "skip: code for $level: this processor is less"
        ;;
    *) is "only $level" "$want" "$found" ;;
    esac
done
"$tilec" build aot.tile --target=cpu:x86-64-v3 --kernel=twice -o one.o --header=aot.h
cat >less.c <<'END'
#include "aot.h"
#include <stdio.h>
int main(void)
{
    float x[4] = {1, 2, 3, 4};
    tile_error e;
    int code = twice(NULL, NULL, x, x, 4, &e);
    printf("%d %s\n", code, e.text);
}
END
link less.c one.o -o less
is "a lesser processor" \
    "5 kernel 'twice' was built for x86-64-v3 and better: this processor, or its system, is less" \
    "$(TILE_CPU=x86-64-v2 ./less)"

# what is seen of an object: its functions; what it wants: the runtime
"$tilec" build aot.tile -o aot.o --header=aot.h -D N=64 -D N=100
is "visible" "" "$(nm --defined-only aot.o | grep -v ' [a-z] ' | awk '{print $3}' | grep -vE '^(twice|soft|shift|scaled)(__|$)')"
is "wanted" "" "$(nm -u aot.o | awk '{print $2}' | grep -vE '^(tile_aot_launch_2|tile_rt_.*|fmaf?|mem(cpy|set|move)|__(start|stop)_tile_aot_.*)$')"
is "no writable data" "" "$(readelf -SW aot.o | grep -E ' \.data |\.bss ')"
is "stack is not executable" "1" "$(readelf -SW aot.o | grep -c 'note.GNU-stack')"
cc -shared -Wl,-z,text -o libaot.so aot.o 2>log
is "position-independent" "0 " "$? $(cat log)"
nm "$build/libtile_rt.a" | grep -iE 'llvm|fe_load|ir_builder' >log
is "no compiler in libtile_rt" "" "$(cat log)"

# two objects of one file: their instances add up, functions of both names are there
"$tilec" build aot.tile --kernel=soft --kernel=twice -D N=64 -o a.o --header=aot.h
"$tilec" build aot.tile --kernel=soft --kernel=shift --kernel=scaled -D N=100 -o b.o --header=b.h
sed 's/"aot.h"/"both.h"/' aot_use.c >both.c
"$tilec" build aot.tile -o all.o --header=both.h -D N=64 -D N=100
link both.c a.o b.o -o both && is "two objects" "$want" "$(./both 2>&1)"
link both.c b.o a.o -o both && is "two objects, turned round" "$want" "$(./both 2>&1)"
link both.c a.o b.o -Wl,--gc-sections -o both && is "two objects, sections collected" "$want" "$(./both 2>&1)"
printf 'kernel twice(x: *f32, n: int) grid(1):\n    store(x, 1.0)\n' >other.tile
"$tilec" build other.tile -o other.o
link less.c one.o other.o -o less && is "two kernels of one name" \
    "2 kernel 'twice': this program holds objects of two kernels of that name" "$(./less)"
"$tilec" build aot.tile -o aot.o --header=aot.h -D N=64 -D N=100
for jobs in 1 3; do
    "$tilec" build aot.tile -j $jobs -o again.o --header=again.h -D N=64 -D N=100
    is "same again, -j $jobs" "0" "$(cmp aot.o again.o >/dev/null; echo $?)"
done
"$tilec" build aot.tile -o again.o --header=again.h -D N=64 -D N=100 -D N=64 -D bias=given -D bias=given -D bias=None
"$tilec" build aot.tile -o aot.o --header=aot.h -D N=64 -D N=100 -D bias=given -D bias=None
is "a value said twice" "0" "$(cmp aot.o again.o >/dev/null; echo $?)"
for std in "cc -x c -std=c99" "c++ -x c++ -std=c++11"; do
    $std -Wall -Wextra -Werror -fsyntax-only -I"$root/runtime" aot.h >log 2>&1
    is "header: $std" "0" "$?"
done

# kernels by name and consts (tile_kernel_linked), and what of an object is left out on demand
"$tilec" build aot.tile --kernel=twice -D BLOCK=64 -D BLOCK=32 --binaries=wide --in-place=none -o lone.o --header=lone.h
"$tilec" build aot.tile --kernel=shift --binaries=fast --in-place=y:x -o fast.o --header=shift.h
link "$root/tests/tools/aot_linked.c" lone.o fast.o -I"$root" -o linked
is "kernels by name" "$(cat "$root/tests/tools/aot_linked.want")" "$(./linked 2>&1)"
objcopy --redefine-sym tile_aot_launch_2=tile_aot_launch_1 one.o old.o
link less.c old.o -o old 2>log
is "an object of version 1" "1 tile_aot_launch_1" "$? $(grep -o "undefined reference to .tile_aot_launch_1" log | head -n 1 | grep -o 'tile_.*')"
refuses "binaries" 2 "'--binaries' takes fast, narrow and wide, found 'slow'" aot.tile --binaries=slow -o x.o
refuses "jobs" 2 "'-j' takes a number from 1 to 1024, found '0'" aot.tile -j 0 -o x.o
refuses "no such pair" 1 "kernel 'twice': in place are two arguments of one type, one of which it writes" aot.tile \
    --kernel=twice --in-place=x:n -o x.o

refuses "no output" 2 "build needs -o" aot.tile
refuses "no file" 2 "build needs one file" -o x.o
refuses "target" 2 "unknown target 'cpux'" aot.tile --target=cpux -o x.o
refuses "chip" 2 "'cpu:znver4' is no level" aot.tile --target=cpu,cpu:znver4 -o x.o
for file in aot.tile "$root/tests/lower/nvptx/hand/fa_d64.tir"; do
    refuses "cuda" 2 "build makes code for the cpu only: kernels for 'cuda:sm_90a' are compiled when they run, by libtile; emit --stage=asm \
gives the assembly of laid-out .tir" "$file" --target=cuda:sm_90a -o x.o
done
refuses "no such card" 2 "unknown target 'cuda:sm_12' (see tilec targets)" aot.tile --target=cuda:sm_12 -o x.o
refuses "kernel" 1 "no kernel 'softt' in this file" aot.tile --kernel=softt -o x.o
refuses "name" 1 "no const or type parameter is named 'M'" aot.tile -D M=1 -o x.o
refuses "instances" 1 "kernel 'soft' would have more than 16 instances (9 of 'N', 2 of 'T', ..): choose some by -D" aot.tile \
    --kernel=soft -D N=1 -D N=2 -D N=3 -D N=4 -D N=5 -D N=6 -D N=7 -D N=8 -D N=9 -o x.o
refuses "stage" 1 "build takes .tile files" other.tir -o x.o
printf 'kernel k(x: *f32) grid(1):\n    store(y, 1.0)\n' >bad.tile
refuses "source" 1 "bad.tile:2:11: error" bad.tile -o x.o
refuses "a folder that isn't there" 1 "nowhere/x.o" aot.tile --kernel=twice -o nowhere/x.o
[ ! -e x.o ] || { failed=$((failed + 1)) && echo "FAILED: an object was left"; }

# the floor of the C library
if [ -z "$san" ]; then
    most=$(for f in use libaot.so "$build"/libtile_rt.so.*; do
        [ ! -e "$f" ] || objdump -T "$f" | grep -oE 'GLIBC_[0-9.]+' | cut -d_ -f2
    done | sort -V | tail -n 1)
    is "glibc floor $FLOOR, found $most" "$FLOOR" "$(printf '%s\n%s\n' "$FLOOR" "$most" | sort -V | tail -n 1)"
    echo "libtile_rt.a: $(size -t "$build/libtile_rt.a" | awk 'END {print $1 + $2}') bytes of code and data"
fi

# a root with a C compiler and nothing else: made of the packages that cc needs, as they are installed here
cc_root() {
    list= todo="gcc libc6-dev" # the closure of what these depend on
    while [ -n "$todo" ]; do
        next=
        for p in $todo; do
            case " $list " in *" $p "*) continue ;; esac
            dpkg -s "$p" >/dev/null 2>&1 || continue
            list="$list $p"
            next="$next $(dpkg-query -W -f '${Depends},${Pre-Depends}' "$p" | tr ',' '\n' | sed 's/[|(].*//; s/:any//; s/ //g')"
        done
        todo=$next
    done
    for l in bin lib lib64 sbin; do # these are links where /usr is merged
        mkdir -p "$1/usr/$l"
        [ ! -L "/$l" ] || ln -s "usr/$l" "$1/$l"
    done
    dpkg -L $list | sort -u | grep -vE '^/usr/share|^/(bin|lib|lib64|sbin)$' |
        tar -C / --no-recursion -cf - -T - 2>/dev/null | tar -C "$1" -xf - --keep-directory-symlink
    mkdir -p "$1/tmp" "$1/here" "$1/dev"
}
if [ -n "$san" ]; then
    skipped=$((skipped + 1))
    echo "skip: a root with nothing but cc: sanitizers need their libraries"
elif [ "$(id -u)" != 0 ] || ! command -v dpkg-query >/dev/null || ! chroot / true 2>/dev/null; then
    skipped=$((skipped + 1))
    echo "skip: a root with nothing but cc: needs root, chroot and dpkg"
else
    mkdir bare
    cc_root "$dir/bare"
    cp aot_use.c aot.o aot.h "$build/libtile_rt.a" "$root/runtime/tile.h" bare/here
    is "no LLVM in the bare root" "" "$(find bare -name '*LLVM*' | head -n 1)"
    printf 'cd /here\ngcc -I. aot_use.c aot.o libtile_rt.a -lm -lpthread -o use && ./use\n' >bare/here/run.sh
    cp /bin/dash bare/here/sh 2>/dev/null || cp /bin/sh bare/here/sh
    is "in a root with nothing but cc" "$want" "$(chroot bare /here/sh /here/run.sh 2>&1)"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
