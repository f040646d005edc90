#!/bin/bash
# From a clean clone to dist/: the engine parts of this system, the bundle, and its installers.
#
#     bash packaging/build.sh [--without-starter]
#
# Needs uv and a C++ compiler; for Vulkan a recent glslc (Debian 13's, or the Vulkan SDK's) with Vulkan's headers and SPIRV-Headers.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=(base)
if [ "$(uname)" != Darwin ] && glslc --version 2>/dev/null | grep -qE 'shaderc v?20(2[4-9]|[3-9][0-9])'; then
    parts+=(vulkan)
else
    [ "$(uname)" = Darwin ] || echo "Vulkan is left out: there is no glslc here that is recent enough (2024 or later)." >&2
fi
if [ "${1:-}" = --without-starter ]; then
    export ZHIYIN_WITHOUT_STARTER=1
fi

uv run --group engine python packaging/engine/build.py "${parts[@]}"
uv run --group bundle pyinstaller --noconfirm packaging/zhiyin.spec
dist/zhiyin/zhiyin --version
case $(uname) in
Linux) packaging/linux/make.sh dist/zhiyin dist/installers ;;
Darwin) packaging/macos/make.sh dist/Zhiyin.app dist/installers ;;
*) uv run python packaging/windows/make.py dist/zhiyin dist/installers ;;
esac
