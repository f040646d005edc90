#!/bin/bash
# Makes the installers of Linux from the bundle: make.sh BUNDLE OUT (a .deb, an .rpm where rpmbuild is here, and a tar.zst)
set -euo pipefail

bundle=$(realpath "$1")
out=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml" | sed -n 1p)
# 9 packs tightest and takes minutes; a trial does with less (1). xz packs programs and libraries by a tenth tighter than zstd.
level=${ZHIYIN_COMPRESSION:-9}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# What a program of Qt needs of the system. The C library is as new as the newest symbol that a file of the bundle takes.
glibc=$(uv run --project "$root" python "$here/symbol_floor.py" "$bundle" --print GLIBC)
deb_depends="libc6 (>= $glibc), libstdc++6 (>= 12), libgcc-s1, libgl1, libegl1, libfontconfig1, libfreetype6, libdbus-1-3, \
libglib2.0-0t64 | libglib2.0-0, libx11-6, libx11-xcb1, libxcb1, libxkbcommon0, libxkbcommon-x11-0, libxcb-cursor0, libxcb-icccm4, \
libxcb-image0, libxcb-keysyms1, libxcb-randr0, libxcb-render-util0, libxcb-shape0, libxcb-xkb1, libwayland-client0, \
libwayland-cursor0, libwayland-egl1, libgomp1, zlib1g, bubblewrap"
deb_recommends="fonts-noto-cjk, libvulkan1, mesa-vulkan-drivers"

uv run --project "$root" python "$root/packaging/icons.py" "$work/icons"

# The tree of a system-wide installation ------------------------------------------------------------------------------
tree=$work/tree
mkdir -p "$tree/opt" "$tree/usr/bin" "$tree/usr/share/applications" "$tree/usr/share/mime/packages" \
    "$tree/usr/share/icons/hicolor/scalable/apps" "$tree/usr/share/doc/zhiyin"
cp -a "$bundle" "$tree/opt/zhiyin"
ln -s /opt/zhiyin/zhiyin "$tree/usr/bin/zhiyin"
cp "$here/zhiyin.desktop" "$tree/usr/share/applications/"
cp "$here/zhiyin-mime.xml" "$tree/usr/share/mime/packages/"
cp "$work/icons/zhiyin.svg" "$tree/usr/share/icons/hicolor/scalable/apps/"
for icon in "$work"/icons/*.png; do
    size=$(basename "$icon" .png)
    install -D -m 644 "$icon" "$tree/usr/share/icons/hicolor/${size}x${size}/apps/zhiyin.png"
done
cp "$root/LICENSE" "$tree/usr/share/doc/zhiyin/copyright"
chmod -R u+rwX,go+rX,go-w "$tree"

make_deb() {
    local root_of_deb=$work/deb machine
    machine=$(dpkg --print-architecture)
    mkdir -p "$root_of_deb"
    cp -a "$tree/." "$root_of_deb/"
    mkdir -p "$root_of_deb/DEBIAN"
    cat >"$root_of_deb/DEBIAN/control" <<EOF
Package: zhiyin
Version: $version
Architecture: $machine
Maintainer: The Zhiyin project <zhiyin@localhost>
Installed-Size: $(du -sk "$tree" | cut -f1)
Depends: $deb_depends
Recommends: $deb_recommends
Section: misc
Priority: optional
Description: Offline AI assistant for your own computer
 Zhiyin takes any open LLM checkpoint, says what this computer can run of it,
 converts and quantizes it to GGUF, and chats with it through llama.cpp.
EOF
    dpkg-deb --root-owner-group -Zxz "-z$level" -Sextreme --build "$root_of_deb" "$out/zhiyin_${version}_${machine}.deb"
}

make_rpm() {
    rpmbuild -bb --quiet --define "_topdir $work/rpm" --define "version_ $version" --define "glibc $glibc" --define "tree $tree" \
        --define "_rpmdir $out" --define "_binary_payload w$level.xzdio" --define "_build_name_fmt zhiyin-%{version}-%{release}.%{arch}.rpm" "$here/zhiyin.spec.rpm"
}

make_archive() {
    local folder=$work/zhiyin-$version
    mkdir -p "$folder/share"
    cp -a "$bundle" "$folder/zhiyin"
    cp "$here/install.sh" "$folder/"
    cp "$here/zhiyin.desktop" "$here/zhiyin-mime.xml" "$folder/share/"
    cp -a "$work/icons" "$folder/share/icons"
    tar -C "$work" --owner=0 --group=0 -cf - "zhiyin-$version" |
        zstd -q --ultra "-$((level * 2 + 4))" --long=27 -T0 -f -o "$out/zhiyin-$version-linux-$(uname -m).tar.zst"
}

make_archive
if command -v dpkg-deb >/dev/null; then make_deb; fi
if command -v rpmbuild >/dev/null; then make_rpm; fi
(cd "$out" && find . -maxdepth 1 -name 'zhiyin*' -printf '%f\0' | sort -z | xargs -0 sha256sum -- >SHA256SUMS)
ls -l "$out"
