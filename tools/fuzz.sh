#!/bin/sh
# fuzz.sh NAME...: builds tests/fuzz/fuzz_NAME.c with libFuzzer and runs each for FUZZ_SECONDS over its corpus, under
# address and undefined behaviour sanitizers. Any crash, leak, time-out or run out of memory fails, and leaves its input
# in build/fuzz.
seconds=${FUZZ_SECONDS:-60}
cc=$(command -v clang clang-19 clang-14 2>/dev/null | head -n 1)
if [ -z "$cc" ]; then
    echo "fuzzing needs clang: apt-get install clang libclang-rt-14-dev" >&2
    exit 1
fi
san='-fsanitize=address,undefined -fno-sanitize-recover=all'
build="make --no-print-directory -s all B=build/fuzz CC=$cc"
rooms=
for room in runtime backends frontend compiler base; do
    rooms="$rooms build/fuzz/lib$room.a"
done
rooms="build/fuzz/libllm.a $rooms"
$build OPT='-O1 -g' SAN="$san -fsanitize=fuzzer-no-link" $rooms || exit 1
llvm=$(command -v llvm-config-22)
fail=0
for name in "$@"; do
    corpus=tests/fuzz/corpus/$name
    work=build/fuzz/found-$name
    mkdir -p $corpus "$work"
    "$cc" -std=c17 -D_GNU_SOURCE -O1 -g -I. -Ibuild/fuzz $san -fsanitize=fuzzer \
        tests/fuzz/fuzz_"$name".c -o build/fuzz/fuzz_"$name" -Wl,--start-group $rooms -Wl,--end-group \
        $($llvm --link-shared --ldflags --libs) -lffi -lm -ldl -lpthread -ljansson -lpcre2-8 -lutf8proc || { fail=1; continue; }
    [ "$name" = template ] && corpus="$corpus tests/llm/templates"
    dict=""
    [ -f tests/fuzz/"$name".dict ] && dict="-dict=tests/fuzz/$name.dict"
    if build/fuzz/fuzz_"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 $dict \
        -artifact_prefix=build/fuzz/ "$work" $corpus >build/fuzz/"$name".log 2>&1; then
        echo "fuzz $name: $(grep -c . build/fuzz/"$name".log) lines, $(tail -n 1 build/fuzz/"$name".log)"
    else
        echo "fuzz $name: FAILED"
        tail -n 40 build/fuzz/"$name".log
        fail=1
    fi
done
exit $fail
