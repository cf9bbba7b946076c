#!/bin/sh
# cli.sh TILEC: the command line of tilec: what it prints, where, and with which exit code.
#
#   expect CODE 'TEXT' COMMAND...   COMMAND ends with CODE and prints TEXT (a fixed string) on stdout or stderr
#
# The last line is `N passed, N failed`; the exit code is 1 when any failed.
tilec=${1:?usage: cli.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
. "${0%/*}/../expect.sh"
cd "$dir" || exit 1
passed=0 failed=0

silent() {
    "$@" >out 2>&1 </dev/null
    got=$?
    if [ "$got" -eq 0 ] && [ ! -s out ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $* (exit $got, expected 0 and no output)"
        head -20 out
    fi
}

cat >scale.tile <<'END'
fn double(v):
    return v + v

kernel scale[T: (f32, f16)](x: *T, y: *T, n: int, k: i32? = None, BLOCK: const = 64,
        f: const fn = identity) grid(cdiv(n, BLOCK)):
    i = program_id(0) * BLOCK + arange(0, BLOCK)
    v = f(load(x + i, i < n))
    if k is not None:
        v = v * k.to(T)
    store(y + i, v, i < n)

kernel rows(x: f32[M, N], y: f32[M], BLOCK: const = 64) grid(M):
    r = program_id(0)
    y.scatter([r], sum(x[r].load([0], [BLOCK])))

kernel pair(x: f32[N], y: f32[N]) grid(1):
    y.store([0], x.load([0], [16]))

kernel nogrid(y: *f32):
    store(y + program_id(0), 1.0)
END
cat >debug.tile <<'END'
kernel asserts(n: int) grid(2):
    device_assert(program_id(0) < n, "too many")

kernel says(n: int) grid(1):
    device_print("n is", n)
END
printf 'kernel bad(x: *f32) grid(1):\n    store(x, yy)\n' >bad.tile
printf 'kernel worse(x: *f32 grid(1):\n' >worse.tile
printf 'no text\n' >other.txt

# usage
expect 2 'expected a command' $tilec
expect 2 "unknown command 'frob'" $tilec frob
expect 2 "unknown flag '--frob'" $tilec check --frob scale.tile
expect 2 "did you mean '--stage'" $tilec emit scale.tile --stge=tir
expect 2 'needs a value' $tilec emit scale.tile --stage
expect 2 'needs a value' $tilec emit scale.tile --stage=
expect 2 'needs a value' $tilec emit scale.tile -o
expect 2 'takes no value' $tilec check --json=1 scale.tile
expect 2 'has no meaning for this command' $tilec check --stage=tir scale.tile
expect 2 'check needs a file' $tilec check
expect 2 'emit needs one file' $tilec emit --stage=tir
expect 2 'emit needs --stage' $tilec emit scale.tile
expect 2 'unknown stage' $tilec emit scale.tile --stage=ir
expect 2 'unknown target' $tilec emit scale.tile --stage=asm --target=cuda:sm_1
expect 2 'unknown target' $tilec emit scale.tile --stage=asm --target=toaster
expect 2 'NAME=VALUE' $tilec emit scale.tile --stage=tir -D BLOCK
expect 2 'needs a file and a kernel' $tilec run scale.tile
expect 2 'unknown device' $tilec run scale.tile scale --device=toaster
expect 2 'X[,Y[,Z]]' $tilec run scale.tile scale --grid=1,2,3,4
expect 2 'X[,Y[,Z]]' $tilec run scale.tile scale --grid=x
expect 2 'number of launches' $tilec run scale.tile scale --time=often
expect 2 'ARG=FILE.npy' $tilec run scale.tile scale --save y
expect 2 'ARG=VALUE' $tilec run scale.tile scale x
expect 2 "build needs -o OUT.o" $tilec build scale.tile
expect 2 "explain needs one file, found 0" $tilec explain
expect 2 "unknown target 'cpux'" $tilec explain scale.tile --target=cpux

# help and information
expect 0 '--stage=STAGE' $tilec --help
expect 0 'exit: 0 done' $tilec run --help
expect 0 'tilec 0.' $tilec version
expect 0 'tilec 0.' $tilec --version
expect 0 'interp' $tilec targets
expect 0 'host:' $tilec targets
expect 0 'cuda:sm_80           compiles; not tried on the chip' $tilec targets

# check
silent $tilec check scale.tile
silent $tilec scale.tile
expect 1 "bad.tile:2:14: error: " $tilec check bad.tile
expect 1 "worse.tile:1:" $tilec check scale.tile worse.tile
expect 1 "bad.tile:2:14: error: " $tilec check worse.tile bad.tile
expect 1 '"severity"' $tilec check --json bad.tile
expect 1 'cannot open' $tilec check missing.tile
expect 1 'no .tile, .tir or .ll file' $tilec check other.txt
mkdir lib
printf 'fn half(v):\n    return v * 0.5\n' >lib/half.tile
printf 'import "half.tile"\nkernel k(x: *f32) grid(1):\n    store(x, half(load(x)))\n' >uses.tile
expect 1 'half.tile' $tilec check uses.tile
silent $tilec check -I lib uses.tile
silent $tilec check -Ilib uses.tile
printf 'kernel k(x: *f32) grid(1):\r\n\tstore(x, 1.0)\n' >tabs.tile
expect 1 'tabs.tile:2:1' $tilec check tabs.tile
head -c 4096 /dev/urandom >junk.tile
expect 1 'junk.tile' $tilec check junk.tile
: >empty.tile
silent $tilec check empty.tile

# emit, and each stage entered again
expect 0 'kernel @scale' $tilec emit scale.tile --stage=tir --kernel=scale
expect 0 'fn double' $tilec emit scale.tile --stage=ast
$tilec emit scale.tile --stage=tir --kernel=scale -D T=f16 -D BLOCK=32 -D f=double -o scale.tir
expect 0 'tile<32xf16>' cat scale.tir
$tilec emit scale.tir --stage=tir -o again.tir
expect 0 '' cmp scale.tir again.tir
expect 0 'stage=laid target=cpu' $tilec emit scale.tir --stage=laid
$tilec emit scale.tile --stage=laid --kernel=scale -o scale.laid.tir
expect 1 'past that stage' $tilec emit scale.laid.tir --stage=tir
expect 1 'past that stage' $tilec emit scale.tir --stage=ast
$tilec emit scale.tile --stage=llvm --kernel=scale -o scale.ll
expect 0 'define' cat scale.ll
$tilec emit scale.laid.tir --stage=llvm -o fromlaid.ll
expect 0 'define' cat fromlaid.ll
expect 0 'define' $tilec emit scale.ll --stage=llvm
expect 0 '.text' $tilec emit scale.ll --stage=asm
expect 0 '.text' $tilec emit scale.tile --stage=asm --kernel=scale
$tilec emit scale.tile --stage=bin --kernel=scale -o scale.o
expect 0 'ELF' head -c 4 scale.o
expect 1 'past that stage' $tilec emit scale.ll --stage=tir
expect 1 'several kernels' $tilec emit scale.tile --stage=llvm
expect 1 "no kernel 'frob'" $tilec emit scale.tile --stage=tir --kernel=frob
expect 1 "did you mean 'BLOCK'" $tilec emit scale.tile --stage=tir -D BLOK=3
expect 1 'bad.tile:2:14: error' $tilec emit bad.tile --stage=tir
printf 'define void @f( {\n' >wrong.ll
expect 1 'wrong.ll' $tilec emit wrong.ll --stage=asm
printf 'tile-ir 1 stage=tir target=any\nfn @f() {\n  frob\n}\n' >wrong.tir
expect 1 'wrong.tir:3' $tilec check wrong.tir
expect 1 'wrong.tir:3' $tilec emit wrong.tir --stage=laid
expect 1 '' $tilec emit scale.tile --stage=tir -o /nonexistent/x

# run
for dev in interp cpu; do
    expect 0 'y: f32[4]: 0 1 2 3' $tilec run scale.tile scale --device=$dev x=arange:f32[4] y=zeros:f32[4] n=4
    expect 0 'y: f16[4]: 0 2 4 6' $tilec run scale.tile scale --device=$dev -D f=double \
        x=arange:f16[4] y=zeros:f16[4] n=4
    expect 0 'y: f32[4]: 0 3 6 9' $tilec run scale.tile scale --device=$dev x=arange:f32[4] y=zeros:f32[4] n=4 k=3
    expect 0 'y: f32[2]: 10 35' $tilec run scale.tile rows --device=$dev x=arange:f32[2,5] y=zeros:f32[2]
    expect 0 'y: f32[3]: 1 1 0' $tilec run scale.tile nogrid --device=$dev --grid=2 y=zeros:f32[3]
    expect 0 'y: f16[4]: 0 2 4 6' $tilec run scale.tir scale__f16 --device=$dev x=arange:f16[4] y=zeros:f16[4] n=4 k=1
    expect 0 'n is 7' $tilec run debug.tile says --device=$dev n=7
    expect 0 'y: f32[4]: 0 1 2 3' $tilec run scale.tile scale --checked --device=$dev x=arange:f32[4] y=zeros:f32[4] n=4
    expect 0 '' $tilec run scale.tile scale --device=$dev x=arange:f32[4] y=zeros:f32[4] n=0
    expect 3 'debug.tile:2' $tilec run debug.tile asserts --device=$dev n=1
    expect 1 'must give' $tilec run scale.tile nogrid --device=$dev y=zeros:f32[3]
    expect 1 'at least 1' $tilec run scale.tile nogrid --device=$dev --grid=0 y=zeros:f32[3]
    expect 1 'below 2147483648' $tilec run scale.tile nogrid --device=$dev --grid=65536,65536 y=zeros:f32[3]
    expect 1 "'N'" $tilec run scale.tile pair --device=$dev x=zeros:f32[16] y=zeros:f32[17]
    expect 0 'median of 3' $tilec run scale.tile scale --device=$dev --time=3 x=arange:f32[4] y=zeros:f32[4] n=4
done
expect 3 "'y'" $tilec run scale.tile scale --device=interp x=arange:f32[4] y=zeros:f32[2] n=4
expect 3 "store outside argument 'y': element 2 of 2" $tilec run scale.tile scale --checked --device=cpu \
    x=arange:f32[4] y=zeros:f32[2] n=4
expect 1 "no kernel 'frob'" $tilec run scale.tile frob
expect 1 "did you mean 'x'" $tilec run scale.tile scale xx=zeros:f32[4] y=zeros:f32[4] n=4
expect 1 'found nothing' $tilec run scale.tile scale x=zeros:f32[4] n=4
expect 1 'given twice' $tilec run scale.tile scale x=zeros:f32[4] x=zeros:f32[4] y=zeros:f32[4] n=4
expect 1 'elsewhere' $tilec run scale.tile scale x=zeros:f32[4] y=zeros:f16[4] n=4
expect 1 "not among the types of 'T'" $tilec run scale.tile scale x=zeros:f64[4] y=zeros:f64[4] n=4
expect 1 'found an array' $tilec run scale.tile scale x=zeros:f32[4] y=zeros:f32[4] n=zeros:f32[4]
expect 1 'found a float' $tilec run scale.tile scale x=zeros:f32[4] y=zeros:f32[4] n=1.5
expect 1 'does not fit' $tilec run scale.tile scale x=zeros:f32[4] y=zeros:f32[4] n=4 k=5000000000
expect 1 'rank 2' $tilec run scale.tile rows x=zeros:f32[4] y=zeros:f32[4]
expect 1 'found None' $tilec run scale.tile rows x=None y=zeros:f32[4]
expect 1 'expected a number' $tilec run scale.tile scale x=zeroes:f32[4] y=zeros:f32[4] n=4
expect 1 'element type' $tilec run scale.tile scale x=zeros:f33[4] y=zeros:f32[4] n=4
expect 1 'bad.tile:2:14: error' $tilec run bad.tile bad x=zeros:f32[1]
expect 1 'no .tile or .tir' $tilec run scale.ll scale
silent $tilec run scale.tile scale x=rand:f32[7]:3 y=zeros:f32[7] n=7 --save y=y.npy --save x=x.npy
expect 0 '' cmp x.npy y.npy
expect 0 'y: f32[7]:' $tilec run scale.tile scale x=@y.npy y=zeros:f32[7] n=7
expect 1 'magic' $tilec run scale.tile scale x=@other.txt y=zeros:f32[7] n=7
expect 1 'expected elements of' $tilec run scale.tile pair x=@y.npy:i32 y=zeros:f32[7]
expect 1 'no array argument' $tilec run scale.tile scale x=@y.npy y=zeros:f32[7] n=7 --save n=n.npy

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
