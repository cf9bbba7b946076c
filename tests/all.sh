#!/bin/sh
# all.sh: runs every part of the suite built in $B and adds their counts up. Each part ends in a line that counts; a
# part that fails without one counts as one failure. What was skipped is named. VARIANT: asan, ubsan or tsan leave out
# what can't run there.
B=${B:-build/test}
passed=0 failed=0 skipped=0 parts=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=0}
TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
TILE_CACHE_DIR= # what is tested is compiled; the tests of the cache have folders of their own
export B ASAN_OPTIONS TSAN_OPTIONS TILE_CACHE_DIR

# part NAME COMMAND...: its counts are read from the last line 'N passed, N failed, N skipped', or from Check's
# 'Checks: N, Failures: N, Errors: N'
part() {
    name=$1
    shift
    parts=$((parts + 1))
    start=$(date +%s)
    "$@" >"$log" 2>&1
    code=$?
    line=$(grep -E '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    checks=$(grep -E 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$log" | tail -n 1)
    p=0 f=0 s=0
    if [ -n "$line" ]; then
        p=$(echo "$line" | grep -oE '[0-9]+ passed' | tail -n 1 | cut -d' ' -f1)
        f=$(echo "$line" | grep -oE '[0-9]+ failed' | tail -n 1 | cut -d' ' -f1)
        s=$(echo "$line" | grep -oE '[0-9]+ skipped' | tail -n 1 | cut -d' ' -f1)
        s=${s:-0}
    elif [ -n "$checks" ]; then
        n=$(echo "$checks" | sed 's/.*Checks: \([0-9]*\).*/\1/')
        f=$(echo "$checks" | sed 's/.*Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 + \2/')
        f=$(($f))
        p=$((n - f))
    elif [ $code -eq 0 ]; then
        p=1
    fi
    [ $code -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-28s %5d passed %4d failed %4d skipped  %3ds\n' "$name" "$p" "$f" "$s" $(($(date +%s) - start))
    grep -E '^(skip|SKIP)' "$log"
    [ "$f" -ne 0 ] && tail -n 60 "$log"
    return 0
}

if [ "$VARIANT" != tsan ]; then
    rooms="base compiler frontend backends runtime tools examples kernels tests"
    part layers sh -c "awk -f tools/layers.awk tools/layers.txt \$(find $rooms -name '*.[chly]')"
    part "docs/ir.md is current" "$B/gen_docs" --check docs/ir.head.md docs/ir.md
fi
if [ -z "$VARIANT" ]; then
    part "docs/builtins.md is current" sh -c '"$B/gen_builtins" | cmp - docs/builtins.md'
    part "examples in docs" sh tests/docs.sh "$B/tilec"
    part "programs in docs" sh tests/docs_c.sh
fi
for t in tests/unit/test_*.c; do
    t=$(basename "$t" .c)
    if [ "$VARIANT" = tsan ]; then
        case $t in test_pool | test_launch* | test_prepare | test_stream | test_tune | test_cuda) ;; *) continue ;; esac
    fi
    part "unit/$t" "$B/unit/$t"
done
for t in tests/llm/test_*.c; do
    [ "$VARIANT" = tsan ] || [ ! -f "$t" ] || part "llm/$(basename "$t" .c)" "$B/llm-tests/$(basename "$t" .c)"
done
[ "$VARIANT" = tsan ] || part "files" "$B/test-runner" tests
if [ "$VARIANT" = tsan ]; then
    # the families in which programs or launches share memory; the others differ in what one thread computes
    for family in memory tensors atomics dots control programs large others; do
        part "run matrix: $family" "$B/run-tests" --device=cpu --family=$family
    done
else
    part "run matrix" "$B/run-tests"
    # every access through pointers checked: nothing is found, and results are the same
    for family in memory atomics control programs large; do
        part "run matrix, checked: $family" "$B/run-tests" --device=cpu --checked --family=$family
    done
fi
if [ "$VARIANT" = tsan ]; then
    part "kernel library" "$B/kernel-tests" --device=cpu --device=cpu:threads=3
else
    part "kernel library" "$B/kernel-tests" --device=cpu:threads=1 --device=cpu:threads=2 --device=cpu:threads=3 \
        --device=cpu:threads=7 --device=interp \
        $([ -n "$VARIANT" ] || echo --device=aot)
fi
if [ -z "$VARIANT" ]; then # the same on processors that are less
    for cpu in x86-64-v3 x86-64-v2; do
        for family in softmax attention matmul quant; do
            part "kernel library: $family, $cpu" env TILE_CPU=$cpu "$B/kernel-tests" --device=cpu --device=aot \
                --family=$family
        done
        part "run matrix: dots, $cpu" env TILE_CPU=$cpu "$B/run-tests" --family=dots
        part "run matrix: one in 8, $cpu" env TILE_CPU=$cpu "$B/run-tests" --device=cpu --every=8
    done
    part "run matrix: casts, x86-64-v2" env TILE_CPU=x86-64-v2 "$B/run-tests" --family=casts
fi
if [ "$VARIANT" != tsan ]; then
    for t in tests/tools/*.sh; do
        case $t in *runner.sh | *diags.sh) tool=$B/test-runner ;; *) tool=$B/tilec ;; esac
        part "$t" sh "$t" "$tool"
    done
fi
[ -n "$VARIANT" ] || part tests/install.sh sh tests/install.sh "$B/tilec"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
