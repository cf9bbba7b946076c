#!/bin/sh
# gpu_session.sh BENCH [KERNELS]: what is run once on a machine with a GPU and no compiler: BENCH is a tile-bench (the
# static one, or that compressed with xz), KERNELS the folder of laid-out kernels.
#
#   1 checks    every kernel against float64
#   2 sanitizer memcheck, racecheck and synccheck on small shapes, where compute-sanitizer is found
#   3 figures   ours and other libraries in turns
# The last lines are a table of the ratios, after the counts. All of it is kept in $OUT (default: a new folder).
#
# PARTS="checks sanitizer figures" chooses. ONLY=WORD: kernels whose names contain it. SUITES=gemm,attn,norm.
# TOOLS="memcheck racecheck synccheck". PYTHON (python3): where it has torch, cuDNN and torch are peers.
# TILE_CUBLAS: the library; else the one in python3's packages, else the loader's. PEERS: a script of more peers, run
# last. PEER_LIST: tile-bench's --peer. SHAPES="--shape=... --shape=...".
bench=${1:?usage: gpu_session.sh BENCH [KERNELS]}
kernels=${2:-tests/lower/nvptx/hand}
here=$(dirname "$0")
OUT=${OUT:-$(mktemp -d)}
PARTS=${PARTS:-checks sanitizer figures}
PYTHON=${PYTHON:-python3}
device=${DEVICE:-cuda:0}
only=${ONLY:+--only=$ONLY}
mkdir -p "$OUT"
case $bench in
*.xz)
    own=$(mktemp -d)
    trap 'rm -rf "$own"' EXIT
    if command -v xz >/dev/null; then
        xz -dc "$bench" >"$own/tile-bench"
    else
        "$PYTHON" -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' "$bench" \
            >"$own/tile-bench"
    fi || exit 2
    bench=$own/tile-bench
    ;;
esac
chmod +x "$bench" 2>/dev/null
PATH=$PATH:/usr/local/cuda/bin
: >"$OUT/counts"
: >"$OUT/table"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw --format=csv,noheader 2>&1

# python3's packages hold the libraries of CUDA, where torch is there
if [ -z "$TILE_CUBLAS" ]; then
    TILE_CUBLAS=$("$PYTHON" - 2>/dev/null <<'END'
import glob, site, sys
folders = site.getsitepackages() + sys.path
found = [f for p in folders for f in sorted(glob.glob(p + '/nvidia/*/lib/libcublas.so.1[0-9]'))]
print(found[0] if found else '')
END
    )
    [ -n "$TILE_CUBLAS" ] && export TILE_CUBLAS || unset TILE_CUBLAS
fi
[ -n "$TILE_CUBLAS" ] && LD_LIBRARY_PATH=$(dirname "$TILE_CUBLAS")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} &&
    export LD_LIBRARY_PATH

part() { case " $PARTS " in *" $1 "*) echo "== $1, $(date -u +%T)" ;; *) return 1 ;; esac; }
count() { printf '%-24s %s\n' "$1" "$2" >>"$OUT/counts"; }

if part checks; then
    # shellcheck disable=SC2086
    "$bench" --check --device="$device" --kernels="$kernels" $only 2>&1 | tee "$OUT/checks.log"
    count checks "$(tail -n 1 "$OUT/checks.log")"
fi

if part sanitizer; then
    if command -v compute-sanitizer >/dev/null; then
        for tool in ${TOOLS:-memcheck racecheck synccheck}; do
            log=$OUT/$tool.log
            # shellcheck disable=SC2086
            timeout "${SANITIZER_SECONDS:-240}" compute-sanitizer --tool "$tool" "$bench" \
                --check --together --small --exact --timeout=200 --device="$device" --kernels="$kernels" \
                $only >"$log" 2>&1
            code=$?
            grep -E '^(FAIL|skip)|=========' "$log" |
                grep -vE 'COMPUTE-SANITIZER|ERROR SUMMARY: 0|SUMMARY: 0 hazards' | head -n 40
            sums=$(grep -cE 'ERROR SUMMARY: 0 errors|SUMMARY: 0 hazards' "$log")
            bad=$(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | grep -cvE 'SUMMARY: 0 (errors|hazards)')
            last=$(grep -E '^[0-9]+ passed, ' "$log" | tail -n 1)
            [ $code -ne 0 ] && last="${last:-no counts}, exit code $code"
            count "$tool" "$sums clean, $bad not; $last"
        done
    else
        count sanitizer "skipped: no compute-sanitizer"
    fi
fi

if part figures; then
    peer=
    "$PYTHON" -c 'import torch' 2>/dev/null && peer="--peer-command=$PYTHON $here/bench_peer.py"
    # shellcheck disable=SC2086
    "$bench" --device="$device" --kernels="$kernels" --suite="${SUITES:-gemm,attn,norm}" --table \
        ${PEER_LIST:+--peer=$PEER_LIST} ${peer:+"$peer"} $only $SHAPES >"$OUT/figures.log" 2>"$OUT/figures.err"
    code=$?
    grep '^{' "$OUT/figures.log" >"$OUT/figures.jsonl"
    grep -v '^{' "$OUT/figures.log" >"$OUT/table"
    cat "$OUT/figures.jsonl"
    cat "$OUT/figures.err"
    [ $code -eq 0 ] || count figures "exit code $code"
    if [ -n "$PEERS" ]; then
        # shellcheck disable=SC2086
        "$PYTHON" $PEERS 2>&1 | tee "$OUT/peers.log" | grep '^{'
    fi
fi

nvidia-smi --query-gpu=clocks.sm,temperature.gpu,power.draw --format=csv,noheader 2>/dev/null
echo "== summary, $(date -u +%T)"
cat "$OUT/counts" "$OUT/table"
! grep -qE '[1-9][0-9]* failed|exit code|clean, [1-9]' "$OUT/counts"
