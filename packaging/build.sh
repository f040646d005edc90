#!/bin/bash
# From a clean clone to dist/: the engine parts of this system, the bundle, and its installers.
#
#     bash packaging/build.sh [--models "starter embedding"]
#
# Needs uv and a C++ compiler; for Vulkan a recent glslc with Vulkan's headers and SPIRV-Headers: the system's (Debian 13), or those
# of the Vulkan SDK (VULKAN_SDK). On an older Debian packaging/linux/vulkan_sdk.sh fetches them.
set -euo pipefail
cd "$(dirname "$0")/.."

is_recent() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1 # in a pipe that ends early it would be killed, and taken for an old one
    [[ $version =~ shaderc\ v?20(2[4-9]|[3-9][0-9]) ]]
}

parts=(base)
if [ "$(uname)" != Darwin ]; then
    if [ -z "${VULKAN_SDK:-}" ] && ! is_recent glslc && command -v apt-get dpkg-deb >/dev/null; then
        VULKAN_SDK=$PWD/build/vulkan-sdk
        export VULKAN_SDK
        is_recent "$VULKAN_SDK/bin/glslc" || packaging/linux/vulkan_sdk.sh "$VULKAN_SDK" || true
    fi
    if is_recent "${VULKAN_SDK:+$VULKAN_SDK/bin/}glslc"; then
        parts+=(vulkan)
    else
        echo "Vulkan is left out: there is no glslc here that is recent enough (2024 or later)." >&2
    fi
fi
if [ "${1:-}" = --models ]; then
    export ZHIYIN_MODELS=$2
fi

uv run --group engine python packaging/engine/build.py "${parts[@]}"
uv run --group bundle pyinstaller --noconfirm packaging/zhiyin.spec
dist/zhiyin/zhiyin --version
case $(uname) in
Linux) packaging/linux/make.sh dist/zhiyin dist/installers ;;
Darwin) packaging/macos/make.sh dist/Zhiyin.app dist/installers ;;
*) uv run python packaging/windows/make.py dist/zhiyin dist/installers ;;
esac
