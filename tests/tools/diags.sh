#!/bin/sh
# diags.sh TEST-RUNNER: each row of frontend/diags.def has a test that expects it with text and columns: in a file below
# tests/frontend (what the runner's --met lists), or by its id in tests/unit/test_diags.c. A row without one is named.
runner=${1:?usage: diags.sh TEST-RUNNER}
table=frontend/diags.def cases=tests/unit/test_diags.c
met=$(mktemp) || exit 1
trap 'rm -f "$met"' EXIT
passed=0 failed=0
"$runner" --met "$met" tests/frontend >/dev/null || { echo "FAILED: the files below tests/frontend"; failed=1; }
sed -n 's/^ *{{\{0,1\}"\([A-Z0-9_]*\)", .*/\1/p; s/.* w = {"\([A-Z0-9_]*\)", .*/\1/p' "$cases" >>"$met"
# a warning goes by its -W name, all else by its id
for row in $(sed -n 's/^DIAG(\([A-Z0-9_]*\), [A-Z]*, "\([a-z-]*\)",.*/\1=\2/p' "$table"); do
    name=${row#*=}
    if grep -qxF -- "${name:-${row%%=*}}" "$met"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: no test expects ${row%%=*} of $table with text and columns"
    fi
done
[ "$(grep -c '^DIAG(' "$table")" -eq "$(sed -n '/^DIAG([A-Z0-9_]*, [A-Z]*, "[a-z-]*",/p' "$table" | wc -l)" ] || {
    failed=$((failed + 1))
    echo "FAILED: a row of $table is not understood"
}
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
