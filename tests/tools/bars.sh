#!/bin/sh
# bars.sh TILEC: how far compiling and tuning are is shown on stderr where that is a terminal (a pseudo-terminal of
# script(1) here), is gone from it at the end, and is nowhere else; what a command prints is the same with and without.
tilec=${1:?usage: bars.sh TILEC}
case $tilec in /*) ;; *) tilec=$PWD/$tilec ;; esac
model=${XDG_CACHE_HOME:-$HOME/.cache}/tile/models/SmolLM2-135M-Instruct.Q4_1.gguf
llm=${tilec%/*}/llm
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0 skipped=0
cat >k.tile <<'END'
@tune(BLOCK=[16, 64, 256], key=[n])
kernel twice(x: *f32, out: *f32, n: int) grid(cdiv(n, BLOCK)):
    i = program_id(0) * BLOCK + arange(0, BLOCK)
    store(out + i, load(x + i, i < n) * 2.0, i < n)
END

if ! command -v script >/dev/null; then
    echo "skip: bars on a terminal: there is no script(1)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

expect() { # WHAT COMMAND...: it succeeds
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        head -c 2000 screen
    fi
}
has() { # TEXT FILE
    grep -qF -- "$1" "$2"
}
hasnt() {
    ! grep -qF -- "$1" "$2"
}
# what is left on a wide screen: a carriage return goes back to the start of the line, later text covers earlier
left() {
    awk '{ n = split($0, part, "\r"); line = ""
        for (i = 1; i <= n; i++) if (length(part[i])) line = part[i] substr(line, length(part[i]) + 1)
        sub(/ +$/, "", line); if (line != "") print line }' screen
}
# shown COMMAND: stderr is a terminal, whose text goes to the file `screen`, stdout is the file `out`
shown() {
    script -qec "$1 >out" /dev/null >screen </dev/null
}

run="$tilec run k.tile twice x=arange:f32[100] out=zeros:f32[100] n=100"
tune="$tilec tune k.tile twice x=arange:f32[100] out=zeros:f32[100] n=100"
twice="out: f32[100]: 0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 ..."
export TILE_CACHE_DIR=cache
expect "run" shown "$run"
expect "a bar with the kernel's name" has "twice " screen
expect "an empty bar" has "[                                ] 0/1" screen
expect "a full one" has "[################################] 1/1" screen
expect "no bar is left" [ -z "$(left)" ]
expect "what it prints" [ "$(cat out)" = "$twice" ]
expect "run again" shown "$run"
expect "nothing to compile, no bar" [ ! -s screen ]
expect "tune" shown "$tune"
expect "compiling" has "compiling " screen
expect "of three configs" has "] 2/3" screen
expect "timing" has "timing " screen
expect "no bar is left of tuning" [ -z "$(left)" ]
expect "tune's line" has "twice: BLOCK=" out

# stderr is a file
export TILE_CACHE_DIR=other
expect "run, no terminal" sh -c "$run >out 2>screen"
expect "no bar in a file" [ ! -s screen ]
expect "the same output" [ "$(cat out)" = "$twice" ]
expect "tune, no terminal" sh -c "$tune >out 2>screen"
expect "no bar of tuning in a file" [ ! -s screen ]
# stdout is a terminal, stderr is not
export TILE_CACHE_DIR=third
expect "run, only stdout a terminal" sh -c "script -qec '$run 2>err' /dev/null >screen </dev/null"
expect "no bar in stderr's file" [ ! -s err ]
expect "the result on stdout alone" [ "$(tr -d '\r' <screen)" = "$twice" ]

if [ -x "$llm" ] && [ -r "$model" ]; then
    ask="$llm generate -m $model -n 2 --temp 0 --ctx 64 -p 'The capital of France is'"
    export TILE_CACHE_DIR=fourth
    expect "a model" shown "$ask"
    expect "its kernels" has "preparing kernels [################" screen
    expect "no bar of kernels is left" [ "$(left | grep -c kernels)" = 0 ]
    mv out first
    export TILE_CACHE_DIR=fifth
    expect "a model, no terminal" sh -c "$ask >out 2>screen"
    expect "no bar of kernels in a file" hasnt "kernels" screen
    expect "the same text" cmp -s out first
else
    skipped=$((skipped + 6))
    echo "skip: bars of a model's kernels: the default model is not in the cache folder (make model fetches it)"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
