#!/bin/bash
# try_installed.sh INSTALLERS [SUITE ...]: tries the .deb and the .tar.zst in empty systems (Debian 12 and 13 when none is named),
# which have no Python, no compiler and, while Zhiyin runs, no network. Needs root, debootstrap with Debian's mirror, Xvfb, xdotool,
# ImageMagick (import) and strace. The empty systems are kept in build/roots, so that the next run begins sooner; pictures of the
# window and the traces are left in build/tried.
set -euo pipefail

installers=$(realpath "$1")
shift
suites=("$@")
[ $# -gt 0 ] || suites=(bookworm trixie)
root=$(cd "$(dirname "$0")/../.." && pwd)
keep=$root/build/roots
out=$root/build/tried
display=:$((90 + RANDOM % 900))
# shellcheck disable=SC2016 # apt-get fills it in
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '/\/debian\/?$/ && !seen++')}
person="李 明"
mkdir -p "$keep" "$out"
work=$(mktemp -d)

clean_up() {
    for point in "$work"/*/{proc,dev,tmp/.X11-unix}; do
        if mountpoint -q "$point"; then umount -l "$point"; fi
    done
    if [ -n "${xvfb:-}" ]; then kill "$xvfb" || true; fi
    rm -rf "$work"
}
trap clean_up EXIT

say() { printf '\n== %s\n' "$*"; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# An empty system -----------------------------------------------------------------------------------------------------
make_root() { # SUITE
    [ -d "$keep/$1" ] || { debootstrap --variant=minbase "$1" "$keep/$1.new" "$mirror" >/dev/null && mv "$keep/$1.new" "$keep/$1"; }
    cp -a "$keep/$1" "$work/$1"
    mount -t proc proc "$work/$1/proc"
    mount --rbind /dev "$work/$1/dev"
    mkdir -p "$work/$1/tmp/.X11-unix"
    mount --bind /tmp/.X11-unix "$work/$1/tmp/.X11-unix"
    cp /etc/resolv.conf "$work/$1/etc/resolv.conf"
    chroot "$work/$1" useradd --create-home --home-dir "/home/$person" person
}

inside() { chroot "$system" env -i PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

# As a person without rights, without a network, watched.
as_person() { # TRACE COMMAND ...
    local trace=$1
    shift
    strace -f -qq -e trace=network -o "$out/$trace" unshare --net chroot --userspec=person "$system" env -i PATH=/usr/bin:/bin \
        HOME="/home/$person" LANG=C.UTF-8 DISPLAY="$display" XDG_RUNTIME_DIR=/tmp "$@"
}

no_sockets() { # TRACE
    ! grep -E '\bAF_INET6?\b|\bAF_PACKET\b' "$out/$1" || fail "a socket of a network was asked for, see $out/$1"
}

# What is there, but for what the package manager and the system note of everything.
files_of() {
    (cd "$system" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./var/lib/dpkg -o -path ./var/lib/apt \
        -o -path ./var/cache -o -path ./var/log -o -path "./home/$person/.cache" \) -prune -o \( ! -type d -o -iname '*zhiyin*' \) -print | sort)
}

# Everything new since then that is not the person's own data.
nothing_left() { # WHAT
    files_of >"$out/$suite.after"
    comm -13 "$out/$suite.before" "$out/$suite.after" | grep -v "^\./home/$person/\.local/share/Zhiyin" >"$out/$suite.left" || true
    [ ! -s "$out/$suite.left" ] || fail "$1 left files: $(head -n 5 "$out/$suite.left")"
}

# The chat through the window ------------------------------------------------------------------------------------------
chat_in_window() { # NAME PROGRAM
    as_person "$1.window.trace" "$2" >"$out/$1.window.log" 2>&1 &
    local app=$! found='' reply=''
    for _ in $(seq 120); do
        found=$(DISPLAY=$display xdotool search --onlyvisible --name 'Zhiyin|知音' 2>/dev/null | sed -n 1p) && [ -n "$found" ] && break
        kill -0 "$app" 2>/dev/null || fail "the window ended at once: $(cat "$out/$1.window.log")"
        sleep 1
    done
    [ -n "$found" ] || fail "no window appeared"
    sleep 10
    DISPLAY=$display import -window root "$out/$1.begun.png"
    DISPLAY=$display xdotool windowfocus "$found" type --delay 30 "Write one sentence about the sea."
    DISPLAY=$display xdotool key Return
    for _ in $(seq 120); do
        sleep 1
        reply=$(said) && [ -n "$reply" ] && break
    done
    DISPLAY=$display import -window root "$out/$1.replied.png"
    # strace takes no signals itself; the program is its child.
    kill -TERM "$(pgrep -P "$(pgrep -x -P "$app" strace)")"
    wait "$app" || true
    [ -n "$reply" ] || fail "no reply was kept; see $out/$1.replied.png"
    echo "replied: ${reply:0:120}"
    no_sockets "$1.window.trace"
}

said() { # what the starter replied, by the chats that were kept
    python3 - "$system/home/$person/.local/share/Zhiyin" <<'EOF'
import pathlib, sqlite3, sys
path = pathlib.Path(sys.argv[1], "chats.sqlite3")
if path.exists():
    chats = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    print(*(text for (text,) in chats.execute("SELECT content FROM messages WHERE role = 'assistant'")))
EOF
}

try_program() { # NAME PROGRAM
    say "$1: smoke test"
    as_person "$1.smoke.trace" "$2" --smoke-test >"$out/$1.smoke.json" || fail "the smoke test"
    no_sockets "$1.smoke.trace"
    say "$1: a reply in the terminal"
    as_person "$1.chat.trace" "$2" chat --prompt "Say hello." --temperature 0 --max-tokens 8
    no_sockets "$1.chat.trace"
    say "$1: a chat through the window"
    chat_in_window "$1" "$2"
}

Xvfb "$display" -ac -screen 0 1280x800x24 >/dev/null 2>&1 &
xvfb=$!

for suite in "${suites[@]}"; do
    say "$suite: an empty system"
    make_root "$suite"
    system=$work/$suite
    for program in python3 cc c++; do
        ! inside sh -c "command -v $program" || fail "$program is in the empty system"
    done
    deb=$(find "$installers" -name 'zhiyin_*.deb' | sed -n 1p)
    archive=$(find "$installers" -name 'zhiyin-*.tar.zst' | sed -n 1p)

    say "$suite: the archive where nothing is: what is missing is named all at once"
    mkdir -p "$system/unpacked"
    tar -C "$system/unpacked" --zstd -xf "$archive"
    folder=$(basename "$(find "$system/unpacked" -mindepth 1 -maxdepth 1)")
    as_person "$suite.bare.trace" "/unpacked/$folder/zhiyin/zhiyin" doctor || true

    say "$suite: what the package declares"
    cp "$deb" "$system/zhiyin.deb"
    inside apt-get update -qq
    # shellcheck disable=SC2016 # the inner shell fills it in
    inside sh -c 'apt-get install -qq --no-install-recommends -y $(apt-get install --no-install-recommends -s /zhiyin.deb | sed -n "s/^Inst \(\S*\).*/\1/p" | grep -vx zhiyin)' >/dev/null
    files_of >"$out/$suite.before"

    say "$suite: the package"
    inside apt-get install -qq --no-install-recommends -y /zhiyin.deb >/dev/null
    ! inside sh -c 'command -v python3 || command -v cc' || fail "a dependency brought Python or a compiler"
    try_program "$suite.deb" zhiyin
    inside apt-get purge -qq -y zhiyin >/dev/null
    nothing_left "the package"
    rm -rf "$system/home/$person/.local"

    say "$suite: the archive, for one user"
    files_of >"$out/$suite.before"
    as_person "$suite.install.trace" "/unpacked/$folder/install.sh"
    try_program "$suite.archive" "/home/$person/.local/bin/zhiyin"
    as_person "$suite.remove.trace" sh "/home/$person/.local/share/zhiyin-app/install.sh" --uninstall </dev/null
    nothing_left "the archive"
    umount -l "$system/tmp/.X11-unix" "$system/dev" "$system/proc"
    rm -rf "$system"
done
say "all passed"
