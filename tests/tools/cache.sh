#!/bin/sh
# cache.sh TILEC: compiled code on disk: found again without LLVM, by many processes at once, and never trusted: killed
# writers, folders that can't be written, a full disk, cut and altered files cost time, not the result.
tilec=${1:?usage: cache.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d) || exit 1
trap 'umount "$dir/full" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0 skipped=0
none=/nonexistent/libtile_llvm.so

cat >add.tile <<'END'
kernel add(x: *f32, out: *f32, n: int, BLOCK: const = 64) grid(cdiv(n, BLOCK)):
    i = program_id(0) * BLOCK + arange(0, BLOCK)
    store(out + i, load(x + i, i < n) * 2.0 + 1.0, i < n)
END

# add [NAME=VALUE...]: one launch in a process of its own, under these variables
add() {
    env "$@" "$tilec" run add.tile add x=arange:f32[100] out=zeros:f32[100] n=100 2>&1
}

# is WHAT COMMAND...: it gives the right answer
is() {
    what=$1
    shift
    got=$("$@")
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $got"
    fi
}

says() {
    what=$1 text=$2
    shift 2
    got=$("$@" 2>&1)
    case $got in
    *"$text"*) passed=$((passed + 1)) ;;
    *) failed=$((failed + 1)) && echo "FAILED: $what: expected '$text', found: $got" ;;
    esac
}

want='out: f32[100]: 1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31 ...'
is "no folder" add TILE_CACHE_DIR=
is "first launch" add TILE_CACHE_DIR=c/d
is "without a code generator" add TILE_CACHE_DIR=c/d TILE_LLVM=$none
is "home" add -u TILE_CACHE_DIR XDG_CACHE_HOME=home
is "home again" add -u TILE_CACHE_DIR XDG_CACHE_HOME=home TILE_LLVM=$none
[ -d home/tile ] || { failed=$((failed + 1)) && echo "FAILED: nothing in XDG_CACHE_HOME"; }
entry=$(ls c/d/* | head -n 1)
cp "$entry" good
if [ -e "${tilec%/*}/libtile_llvm.so" ]; then
    says "nothing there" "the code generator can't be opened: $none" add TILE_CACHE_DIR=e TILE_LLVM=$none
    says "no library of ours" "the code generator can't be opened" add TILE_CACHE_DIR=e TILE_LLVM=libm.so.6
fi

# altered at every 37th byte, cut at every 101st: compiled again, and the entry is whole afterwards
size=$(wc -c <good)
at=0
while [ $at -lt "$size" ]; do
    cp good "$entry"
    byte=$(od -An -tu1 -j$at -N1 good | tr -d ' ')
    printf "\\$(printf '%03o' $((byte ^ 64)))" | dd of="$entry" bs=1 seek=$at conv=notrunc 2>/dev/null
    cmp -s good "$entry" && { failed=$((failed + 1)) && echo "FAILED: byte $at was not changed"; }
    is "byte $at altered" add TILE_CACHE_DIR=c/d
    cmp -s good "$entry" || { failed=$((failed + 1)) && echo "FAILED: byte $at is not repaired"; }
    at=$((at + 137))
done
at=0
while [ $at -lt "$size" ]; do
    head -c $at good >"$entry"
    is "cut at $at" add TILE_CACHE_DIR=c/d
    at=$((at + 301))
done
is "repaired" add TILE_CACHE_DIR=c/d TILE_LLVM=$none
# another entry's content under this name
cp good other
printf x | dd of=other bs=1 seek=9 conv=notrunc 2>/dev/null
cp other "$entry"
is "another key" add TILE_CACHE_DIR=c/d

# ten processes, one empty folder
for i in 1 2 3 4 5 6 7 8 9 10; do
    add TILE_CACHE_DIR=ten >ten.$i &
done
wait
for i in 1 2 3 4 5 6 7 8 9 10; do
    is "process $i of ten" cat ten.$i
done
is "after ten" add TILE_CACHE_DIR=ten TILE_LLVM=$none

# killed at any moment; what comes after finds a whole entry or none
for pause in 0.002 0.006 0.010 0.014 0.016 0.018 0.020 0.022 0.024 0.03; do
    rm -rf killed
    "$tilec" --version >/dev/null
    TILE_CACHE_DIR=killed "$tilec" run add.tile add x=arange:f32[100] out=zeros:f32[100] n=100 >/dev/null 2>&1 &
    sleep $pause
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    is "killed after $pause s" add TILE_CACHE_DIR=killed
done

# the same at each call that makes an entry, a disk that fills up at each, and bits that are lost on the way
at_calls() {
    for how in open write close rename renamed; do
        rm -rf shim
        add TILE_CACHE_DIR=shim SHIM=kill-$how LD_PRELOAD="$dir/shim.so" >out
        [ $? = 137 ] && passed=$((passed + 1)) || { failed=$((failed + 1)) && echo "FAILED: not killed at $how: $(cat out)"; }
        [ $how != write ] || [ -s "$(echo shim/*)" ] || { failed=$((failed + 1)) && echo "FAILED: no half of an entry"; }
        [ $how != renamed ] || is "killed behind rename" add TILE_CACHE_DIR=shim TILE_LLVM=$none
        is "killed at $how" add TILE_CACHE_DIR=shim
        is "killed at $how, then again" add TILE_CACHE_DIR=shim TILE_LLVM=$none
    done
    for how in open write close rename; do
        rm -rf shim
        is "full at $how" add TILE_CACHE_DIR=shim SHIM=full-$how LD_PRELOAD="$dir/shim.so"
        [ -z "$(ls shim 2>/dev/null)" ] || { failed=$((failed + 1)) && echo "FAILED: full at $how, but kept: $(ls shim)"; }
        is "full at $how, room again" add TILE_CACHE_DIR=shim
    done
    rm -rf shim
    is "a byte a call" add TILE_CACHE_DIR=shim SHIM=slow-write LD_PRELOAD="$dir/shim.so"
    is "a byte a call, then again" add TILE_CACHE_DIR=shim TILE_LLVM=$none
    rm -rf shim
    is "a bit lost" add TILE_CACHE_DIR=shim SHIM=flip-write LD_PRELOAD="$dir/shim.so"
    [ -n "$(ls shim)" ] || { failed=$((failed + 1)) && echo "FAILED: nothing was written"; }
    is "a bit lost, then again" add TILE_CACHE_DIR=shim
    is "a bit lost, written anew" add TILE_CACHE_DIR=shim TILE_LLVM=$none
}
if [ -z "$VARIANT" ] && ${CC:-cc} -shared -fPIC -O1 "$here/cache_shim.c" -o shim.so; then
    at_calls
else
    skipped=$((skipped + 26))
    echo "skip: stops and full disks at each call: a library can't be put in front of this build"
fi

# folders that can't be made or written
echo file >plain
is "a file in the way" add TILE_CACHE_DIR=plain/x
is "a file as the folder" add TILE_CACHE_DIR=plain
is "a folder of the kernel's" add TILE_CACHE_DIR=/proc/self
if [ "$(id -u)" != 0 ]; then
    mkdir ro && chmod 555 ro
    is "read-only" add TILE_CACHE_DIR=ro
elif mkdir full && mount -t tmpfs -o size=4k tmpfs full 2>/dev/null; then
    head -c 4096 /dev/zero >full/fill 2>/dev/null
    is "a full disk" add TILE_CACHE_DIR=full
    [ "$(ls full)" = fill ] || { failed=$((failed + 1)) && echo "FAILED: left on a full disk: $(ls full)"; }
    mount -o remount,ro full
    is "read-only" add TILE_CACHE_DIR=full
    umount full
else
    skipped=$((skipped + 2))
    echo "skip: full disk, read-only folder: a tmpfs can't be mounted here"
fi

# another user's file is not run; neither is one that anyone may write
cp good "$entry"
chmod 666 "$entry"
[ -e "${tilec%/*}/libtile_llvm.so" ] && says "writable by all" "the code generator can't be opened" add TILE_CACHE_DIR=c/d TILE_LLVM=$none
cp good "$entry" && chmod 644 "$entry"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    is "root's file" add TILE_CACHE_DIR=c/d TILE_LLVM=$none
    chown 12345 "$entry"
    [ -e "${tilec%/*}/libtile_llvm.so" ] && says "a stranger's file" "the code generator can't be opened" add TILE_CACHE_DIR=c/d TILE_LLVM=$none
fi

# a bound: what was used longest ago goes first; the newest and what was used again stay
block() { # BLOCK [NAME=VALUE...]
    b=$1
    shift
    env "$@" "$tilec" run add.tile add -D BLOCK=$b x=arange:f32[100] out=zeros:f32[100] n=100 2>&1
}
count() {
    ls "$1" | wc -l
}
for b in 1 2 4 8; do
    is "block $b" block $b TILE_CACHE_DIR=lru
    for f in lru/*; do
        [ -e "lru.$b" ] || case " $known " in *" $f "*) ;; *) known="$known $f" && eval "entry$b=$f" && : >"lru.$b" ;; esac
    done
done
[ "$(count lru)" = 4 ] || { failed=$((failed + 1)) && echo "FAILED: expected 4 entries, found $(count lru)"; }
touch -d '9 hours ago' "$entry1"
touch -d '8 hours ago' "$entry2"
touch -d '7 hours ago' "$entry4"
touch -d '6 hours ago' "$entry8"
: >"$(echo "$entry1" | sed 's/$/.7.1000/')"
touch -d '3 hours ago' "$entry1.7.1000"
is "used again" block 1 TILE_CACHE_DIR=lru TILE_LLVM=$none
all=$(cat lru/* | wc -c)
is "over the bound" block 16 TILE_CACHE_DIR=lru TILE_CACHE_SIZE=$all
for e in "entry2 $entry2" "what was left $entry1.7.1000"; do
    [ ! -e "${e##* }" ] || { failed=$((failed + 1)) && echo "FAILED: $e is still there"; }
done
is "used last" block 1 TILE_CACHE_DIR=lru TILE_LLVM=$none
is "written last" block 16 TILE_CACHE_DIR=lru TILE_LLVM=$none
[ "$(cat lru/* | wc -c)" -le "$all" ] || { failed=$((failed + 1)) && echo "FAILED: the bound is passed"; }
for i in 1 2 3 4 5 6 7 8 9 10; do # ten processes cut one folder, each writes what another removes
    for b in 1 2 4 8 16 32 64 128; do
        block $b TILE_CACHE_DIR=cut TILE_CACHE_SIZE=$((size * 3))
    done >cut.$i &
done
wait
for i in 1 2 3 4 5 6 7 8 9 10; do
    is "process $i of ten that cut" sort -u cut.$i
done
[ "$(cat cut/* | wc -c)" -le $((size * 4)) ] || { failed=$((failed + 1)) && echo "FAILED: $(cat cut/* | wc -c) bytes, bound $((size * 3))"; }
is "smaller than an entry" block 1 TILE_CACHE_DIR=tiny TILE_CACHE_SIZE=100
[ "$(count tiny)" = 0 ] || { failed=$((failed + 1)) && echo "FAILED: an entry larger than the bound is kept"; }
says "bound" "bytes of at most 1073741824" env TILE_CACHE_DIR=c/d "$tilec" cache stats
says "another bound" "bytes of at most 3145728" env TILE_CACHE_DIR=c/d TILE_CACHE_SIZE=3M "$tilec" cache stats
says "no bound" "bytes" env TILE_CACHE_DIR=c/d TILE_CACHE_SIZE=0 "$tilec" cache stats
for wrong in lots -1 1X 1KK 99999999999999999999 9000000000G; do
    says "size $wrong" "TILE_CACHE_SIZE: expected bytes" env TILE_CACHE_SIZE=$wrong "$tilec" cache stats
    is "under size $wrong" add TILE_CACHE_DIR=c/d TILE_CACHE_SIZE=$wrong
done

# every stage of what is compiled, though it is on disk
is "dumped" add TILE_CACHE_DIR=ten TILE_DUMP=dump
says "stages" "laid.tir ll s tir" sh -c 'ls dump | sed "s/^add\.[0-9a-f]*\.//" | sort | tr "\n" " "'
for f in dump/*; do
    case $f in *.s) continue ;; esac
    says "from $f" ".globl" "$tilec" emit "$f" --stage=asm
done
is "a folder that can't be made" add TILE_CACHE_DIR=ten TILE_DUMP=plain/dump

# tilec cache and tilec tune
says "path" "$dir/c/d" env TILE_CACHE_DIR="$dir/c/d" "$tilec" cache path
says "stats" "c/d: 1 entries, 0 choices" env TILE_CACHE_DIR=c/d "$tilec" cache stats
says "clear" "removed 1 entries and 0 choices" env TILE_CACHE_DIR=c/d "$tilec" cache clear
says "empty" ": 0 entries, 0 choices of the tuner, 0 bytes" env TILE_CACHE_DIR=c/d "$tilec" cache stats
says "no folder at all" "nothing is kept" env TILE_CACHE_DIR= "$tilec" cache stats
says "usage" "cache needs one of path, stats, clear" "$tilec" cache frob
cat >tuned.tile <<'END'
@tune(WORK=[4000, 2], key=[n])
kernel k(x: *f32, out: *i32, n: int) grid(1):
    s = 0.0
    for i in range(0, WORK * 100):
        s += load(x + i % 4)
    store(x + 4, s)
    store(out, WORK)
END
tuned() {
    env TILE_CACHE_DIR=t "$tilec" "$@" tuned.tile k x=rand:f32[8] out=zeros:i32[1] n=$n
}
n=50
says "first config" "out: i32[1]: 4000" tuned run
says "tune" "k: WORK=2: " tuned tune
says "tuned" "out: i32[1]: 2" tuned run
n=500
says "another bucket" "out: i32[1]: 4000" tuned run
says "nothing to choose" "add: nothing to choose" \
    env TILE_CACHE_DIR=t "$tilec" tune add.tile add x=rand:f32[8] out=zeros:f32[8] n=8
says "tune needs arguments" "tune needs a file and a kernel" "$tilec" tune add.tile
says "what a choice looks like" "WORK=2  # " cat t/*.tune
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
