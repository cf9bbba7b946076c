#!/bin/sh
# lint.sh FILES: lines over 120 columns, clang-tidy (.clang-tidy) and cppcheck over the sources; what is found fails.
# Test programs in the languages (.tile, .tir) may have longer lines: an expected error stands on the line it is about.
fail=0
c=$(printf '%s\n' "$@" | grep '\.c$' | grep -vE '^(tests/(fuzz|tools)|examples/aot)/') # these want headers made elsewhere
long=$(git ls-files '*.[chly]' '*.def' '*.sh' '*.awk' '*.map' kernels examples | xargs grep -nE '^.{121,}' /dev/null)
if [ -n "$long" ]; then
    printf '%s\n' "$long" | sed 's/^\([^:]*:[0-9]*\):.*/\1: a line over 120 columns/'
    fail=1
fi
if command -v clang-tidy >/dev/null 2>&1; then
    flags="-std=c17 -D_GNU_SOURCE -DTILE_VERSION='\"0\"' -I. -Iruntime -Ibuild/release -Ibuild/release/frontend"
    flags="$flags -isystem $(llvm-config-22 --includedir 2>/dev/null)"
    printf '%s\n' $c | xargs -P 2 -n 8 sh -c 'clang-tidy --quiet "$@" -- '"$flags"' 2>/dev/null' tidy || fail=1
fi
if command -v cppcheck >/dev/null 2>&1; then
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 -j 2 \
        '-D_Noreturn=__attribute__((noreturn))' -I. -Ibuild/release \
        --suppress=missingInclude --suppress=normalCheckLevelMaxBranches \
        $(printf '%s\n' $c | grep -v '^tests/') || fail=1
fi
exit $fail
