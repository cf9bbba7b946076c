#!/bin/sh
# llm.sh: the commands of llm as a user types them: usage, bad input, what goes to which stream, talk from a pipe. The
# default model is needed for most of it.
B=${B:-build/test}
llm=$B/llm
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
passed=0 failed=0 skipped=0
XDG_STATE_HOME=$top
export XDG_STATE_HOME

ok() {
    passed=$((passed + 1))
}
bad() {
    echo "FAIL: $1"
    cut -c1-120 "$top/out" "$top/err" | head -n 20
    failed=$((failed + 1))
}
# want CODE SUBSTRING-OF-STDERR NAME COMMAND...
want() {
    code=$1 text=$2 name=$3
    shift 3
    "$@" >"$top/out" 2>"$top/err" </dev/null
    got=$?
    [ $got -eq "$code" ] && { [ -z "$text" ] || grep -qF -- "$text" "$top/err"; } && ok || bad "$name: exit $got, wanted $code and '$text'"
}
# says NAME TEXT-OF-STDOUT
says() {
    printf '%s' "$2" >"$top/wanted"
    cmp -s "$top/wanted" "$top/out" && ok || bad "$1: other text on stdout"
}

want 2 "" "no command" "$llm"
want 0 "" "help" "$llm" --help
grep -q 'llm chat' "$top/out" && ok || bad "help names chat"
for c in chat generate bench perplexity tokenize logits; do
    want 0 "" "$c --help" "$llm" $c --help
    want 2 "unknown flag '--nonsense'" "$c with a flag that isn't there" "$llm" $c --nonsense
done
want 2 "unknown command 'chatt'" "unknown command" "$llm" chatt
want 2 "no model is given" "no model" "$llm" chat -p x
want 2 "did you mean '--temp'" "near flag" "$llm" chat --tmp 1
want 2 "'--temp' takes a number" "bad number" "$llm" chat --temp=warm
want 2 "'--top-k' needs a value" "no value" "$llm" chat --top-k
want 2 "'--json' takes no value" "value of a switch" "$llm" bench --json=1
want 2 "unexpected argument 'x'" "stray argument" "$llm" generate x
want 2 "either -p TEXT or -f FILE" "no prompt" "$llm" generate -m x
want 2 "'--mode' takes eager or compiled" "bad mode" "$llm" generate -m x -p x --mode=fast
want 2 "'--act' takes i8 or f32" "bad act" "$llm" generate -m x -p x --act=f64
want 2 "--tokens=IDS.txt" "no tokens" "$llm" logits -m x
want 1 "" "no such model" "$llm" generate -m "$top/none.gguf" -p x
grep -q "none.gguf" "$top/err" && ok || bad "the missing model is named"
head -c 4000 /dev/urandom >"$top/junk.gguf"
want 1 "junk.gguf" "a file that is no model" "$llm" generate -m "$top/junk.gguf" -p x
want 1 "cannot read" "no such prompt file" "$llm" generate -m x -f "$top/none.txt"

want 2 "give either -m MODEL or --random-weights" "two models" "$llm" bench -m x --random-weights=y
want 1 "'y' is no model: expected smollm2-135m, " "unknown random model" "$llm" bench --random-weights=y
want 1 "'Q9' is no type of weights" "unknown type" "$llm" bench --random-weights=smollm2-135m:Q9
want 1 "no whole blocks of 256, as Q4_K has" "type that doesn't fit" "$llm" bench --random-weights=smollm2-135m:Q4_K
for r in smollm2-135m smollm2-135m:Q8_0 qwen2.5-0.5b:Q4_1 qwen3-0.6b; do
    want 0 "" "random $r" "$llm" bench --random-weights=$r -p 8 -n 1 -r 1 --json
    grep -q "\"work\": \"tg1\", \"shape\": \[1\], \"dtype\": \"$r\"" "$top/out" && ok || bad "figures of random $r"
done

model=${XDG_CACHE_HOME:-$HOME/.cache}/tile/models/SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -r "$model" ]; then
    echo "skip: the default model is not in the cache folder (make model fetches it)"
    skipped=18
else
    paris="$llm generate -m $model -n 8 --ctx 128"
    want 0 "generated 8 tokens" "generate" $paris -p "The capital of France is"
    cp "$top/out" "$top/first"
    grep -q '^ Paris' "$top/out" && ok || bad "Paris is the capital of France"
    want 0 "" "eager" $paris --mode=eager -p "The capital of France is"
    cmp -s "$top/first" "$top/out" && ok || bad "eager gives another text"
    want 0 "" "one thread" $paris --threads=1 -p "The capital of France is"
    cmp -s "$top/first" "$top/out" && ok || bad "one thread gives another text"
    printf 'The capital of France is' >"$top/prompt"
    want 0 "" "prompt from a file" $paris -f "$top/prompt"
    cmp -s "$top/first" "$top/out" && ok || bad "a file gives another text"
    want 0 "" "stop string" $paris --stop "ari" -p "The capital of France is"
    says "stop string" " P"
    want 1 "empty" "empty prompt" $paris -p ""
    want 0 "the context of 16 tokens is full" "full context" "$llm" generate -m "$model" --ctx 16 -n 40 -p "One two three"
    want 0 "generated 40 tokens" "context shift" "$llm" generate -m "$model" --ctx 16 -n 40 --context-shift \
        -p "One two three"
    want 1 "the context 16" "long prompt" "$llm" generate -m "$model" --ctx 16 -p "$(seq 1 40)"
    printf '1 2 3 x' >"$top/ids"
    want 1 "byte 6: a token id is expected" "token ids" "$llm" logits -m "$model" --tokens="$top/ids" --out="$top/l.npy"
    printf '1 2 99999999' >"$top/ids"
    want 1 "token 99999999 is not in the vocabulary" "vocabulary" "$llm" logits -m "$model" --tokens="$top/ids" \
        --out="$top/l.npy"
    [ ! -e "$top/l.npy" ] && ok || bad "a half-written file is left"
    printf '1 2 3' >"$top/ids"
    want 0 "" "logits" "$llm" logits -m "$model" --tokens="$top/ids" --out="$top/l.npy"
    [ "$(wc -c <"$top/l.npy")" -eq $((128 + 3 * 49152 * 4)) ] && ok || bad "size of the logits"
    want 1 "/nowhere/l.npy" "unwritable" "$llm" logits -m "$model" --tokens="$top/ids" --out=/nowhere/l.npy
    want 0 "" "perplexity" "$llm" perplexity -m "$model" -f tests/llm/data/text.txt
    grep -q '^perplexity [0-9.]* +- [0-9.]* over [0-9]* of 597 tokens' "$top/out" && ok || bad "perplexity's line"
    "$llm" tokenize -m "$model" -f "$top/prompt" >"$top/out" 2>"$top/err"
    says "tokenize" "504 3575 282 4649 314
"
    printf 'a\0b\0' | "$llm" tokenize -m "$model" -0 >"$top/out" 2>"$top/err"
    [ "$(wc -l <"$top/out")" -eq 2 ] && ok || bad "two texts, two lines"
    printf 'Say A.\n/reset\n/help\n/nothing\n"""\ntwo\nlines\n"""\none \\\nmore\n/quit\nnot read\n' |
        "$llm" chat -m "$model" --temp=0 -n 4 --verbose >"$top/out" 2>"$top/err"
    [ "$(grep -c 'generated 4 tokens' "$top/err")" -eq 3 ] && ok || bad "three replies of a talk from a pipe"
    grep -q 'no such command' "$top/out" && grep -q 'forgets the talk' "$top/out" && ok || bad "/help, /nothing"
    want 0 "generated" "question" "$llm" chat -m "$model" -p "What is 2 + 2?" --temp 0 -n 40
    grep -q "4" "$top/out" && ok || bad "the answer"
    cp "$top/out" "$top/first"
    "$llm" chat -m "$model" -p "Tell me a story" --temp=0.9 --seed=3 -n 12 >"$top/a" 2>/dev/null
    "$llm" chat -m "$model" -p "Tell me a story" --temp=0.9 --seed=3 -n 12 --threads=1 >"$top/b" 2>/dev/null
    cmp -s "$top/a" "$top/b" && ok || bad "a seed gives one text"
    want 0 "" "bench" "$llm" bench -m "$model" -p 16 -n 4 -r 1 --json --plot="$top/plot.svg"
    [ "$(grep -c '"tok_s"' "$top/out")" -eq 2 ] && grep -q '<svg' "$top/plot.svg" && ok || bad "bench's figures"
    printf '{{ nonsense' >"$top/form"
    want 1 "chat template:" "bad template" "$llm" chat -m "$model" --template "$top/form" -p x
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
