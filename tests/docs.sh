#!/bin/sh
# docs.sh TILEC: every ```tile example of the documents compiles; the README's kernels too.
tilec=${1:?usage: docs.sh TILEC}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
for doc in README.md docs/*.md; do
    awk -v to="$dir/$(basename "$doc" .md)" '
        /^```tile$/ { n++; file = to "_" n ".tile"; next }
        /^```/ { file = "" }
        file != "" { print > file }' "$doc"
done
for f in "$dir"/*.tile; do
    if "$tilec" check -I kernels "$f" >"$dir/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: example $(basename "$f")"
        cat "$dir/out"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
