#!/bin/sh
# rules.sh: each rule of the verifier has a negative test. A rule is a message of compiler/verify*.c: the first text
# that verify_fail, verify_in_is, verify_out_is or another reporter is called with; its longest piece between the parts
# that are filled in must stand in an expected error of tests/ir, or in tests/unit/test_verify.c. Rules without are
# named.
texts=$(mktemp) rules=$(mktemp) || exit 1
trap 'rm -f "$texts" "$rules"' EXIT
passed=0 failed=0
grep -rhoE '// error(@[0-9-]*)?: .*' tests/ir --include='*.tir' >"$texts"
cat tests/unit/test_verify.c >>"$texts"
reporter='\<(verify_fail|(verify_)?(in|out)_is(_kind)?|type_fault)' text='"([^"\\]|\\.)*"'
for f in compiler/verify*.c; do
    # on one line, so that a call's text is on the line of its name; then a call a line
    tr '\n' ' ' <"$f" | sed 's/  */ /g; s/" "//g' |
        grep -oE "$reporter ?\([^\"]*$text|return $text" |
        sed 's/[^"]*"//; s/"$//'
done | awk '{
    n = split($0, piece, /%[-0-9.*l]*[a-zA-Z]/)
    best = ""
    for (i = 1; i <= n; i++) if (length(piece[i]) > length(best)) best = piece[i]
    sub(/^[ \047:,(]+/, "", best); sub(/[ \047:,(]+$/, "", best)
    if (length(best) > 3) print best
}' | sort -u >"$rules"
while IFS= read -r rule; do
    if grep -qF -- "$rule" "$texts"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: no negative test of the verifier's rule '$rule'"
    fi
done <"$rules"
[ "$passed" -ge 150 ] || { failed=$((failed + 1)); echo "FAILED: only $passed rules were found"; }
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
