#!/bin/sh
# lint.sh FILES: clang-tidy (.clang-tidy) and cppcheck over the sources; errors fail.
fail=0
c=$(printf '%s\n' "$@" | grep '\.c$' | grep -v '^tests/fuzz/')
if command -v clang-tidy >/dev/null 2>&1; then
    inc=$(llvm-config-22 --includedir 2>/dev/null)
    printf '%s\n' $c | xargs -P 2 -n 8 sh -c 'clang-tidy --quiet "$@" -- -std=c17 -D_GNU_SOURCE -I. -Ibuild/release -Ibuild/release/frontend -isystem '"$inc"' 2>/dev/null' tidy || fail=1
fi
if command -v cppcheck >/dev/null 2>&1; then
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 -j 2 -I. -Ibuild/release \
        --suppress=missingInclude --suppress=normalCheckLevelMaxBranches $(printf '%s\n' $c | grep -v '^tests/') || fail=1
fi
exit $fail
