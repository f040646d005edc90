#!/bin/bash
# Makes the disk image of macOS from Zhiyin.app: make.sh APP OUT
#
# Signed and notarised where the environment says how: ZHIYIN_CODESIGN_IDENTITY (the name of a Developer ID Application certificate in
# the keychain; the spec signs the app with it) and ZHIYIN_NOTARY_PROFILE (of `xcrun notarytool store-credentials`).
set -euo pipefail

app=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../pyproject.toml" | sed -n 1p)
image=$out/zhiyin-$version-macos-$(uname -m).dmg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

identity=${ZHIYIN_CODESIGN_IDENTITY:-}
profile=${ZHIYIN_NOTARY_PROFILE:-}

notarise() {
    xcrun notarytool submit "$1" --keychain-profile "$profile" --wait
}

if [ -n "$identity" ]; then
    codesign --verify --deep --strict "$app"
fi
if [ -n "$profile" ]; then
    ditto -c -k --keepParent "$app" "$work/Zhiyin.zip"
    notarise "$work/Zhiyin.zip"
    xcrun stapler staple "$app"
fi

mkdir "$work/image"
cp -R "$app" "$work/image/"
ln -s /Applications "$work/image/Applications"
rm -f "$image"
hdiutil create -quiet -volname "Zhiyin 知音" -srcfolder "$work/image" -format ULMO "$image"
if [ -n "$identity" ]; then
    codesign --sign "$identity" --timestamp "$image"
fi
if [ -n "$profile" ]; then
    notarise "$image"
    xcrun stapler staple "$image"
fi
ls -l "$image"
