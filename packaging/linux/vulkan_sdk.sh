#!/bin/bash
# vulkan_sdk.sh OUT: what the Vulkan part is built with, in the layout of LunarG's SDK, from Debian 13's packages, for systems whose own
# glslc is too old. Needs apt-get and dpkg-deb (Debian, Ubuntu), no administrator; nothing is installed. Then: export VULKAN_SDK=OUT
set -euo pipefail

out=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2016 # apt-get fills it in
# Debian's mirror is the one that this system uses; another distribution names one in DEBIAN_MIRROR.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '/\/debian\/?$/ && !seen++')}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$work/lists/partial" "$work/archives/partial"
: >"$work/status"
echo "deb [signed-by=$keys] $mirror trixie main" >"$work/sources.list"
options=(-qq -o "Dir::State=$work" -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work"
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
cd "$work"
apt-get "${options[@]}" download glslc libshaderc1 libstdc++6 libgcc-s1 libc6 libvulkan1 libvulkan-dev spirv-headers
mkdir tree
for package in ./*.deb; do dpkg-deb -x "$package" tree; done

libraries=$(dirname "$(find tree -name 'libvulkan.so')")
rm -rf "$out"
mkdir -p "$out/bin" "$out/lib" "$out/glslc"
cp -a tree/usr/include "$out/include"
cp -a tree/usr/share "$out/share"
cp -a "$libraries"/libvulkan.so* "$out/lib/"
cp -a "$libraries"/*.so* tree/usr/bin/glslc "$out/glslc/"
loader=$(basename "$(find "$out/glslc" -name 'ld-linux*.so.*')")
# Debian 13's program on an older C library: with its own.
cat >"$out/bin/glslc" <<EOF
#!/bin/sh
exec "$out/glslc/$loader" --library-path "$out/glslc" "$out/glslc/glslc" "\$@"
EOF
chmod +x "$out/bin/glslc"
"$out/bin/glslc" --version | sed -n 1p
