#!/bin/sh
# deps.sh: installs what the project needs, by Debian package name. Quick when nothing is missing; uses sudo when not
# root, and where that can't be, prints the line to run and stops.
need=""
for p in gcc g++ make flex bison pkg-config check libffi-dev llvm-22-dev zlib1g-dev libzstd-dev \
    libedit-dev libjansson-dev libpcre2-dev libutf8proc-dev python3-pip ca-certificates; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || need="$need $p"
done
[ -z "$need" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "tile needs these packages (Debian's names):$need" >&2
    exit 1
fi
as=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as=sudo
    else
        echo "run this first, then try again:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$need" >&2
        exit 1
    fi
fi
echo "installing:$need"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
log=$(mktemp)
# a slow or busy mirror gets a second try
for try in 1 2; do
    $as apt-get update >"$log" 2>&1 && $as apt-get install -y --no-install-recommends $need >>"$log" 2>&1 &&
        rm -f "$log" && exit 0
done
tail -n 20 "$log" >&2
echo "apt-get could not install:$need" >&2
exit 1
