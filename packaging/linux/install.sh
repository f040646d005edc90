#!/bin/sh
# Installs Zhiyin for the user who runs this, without administrator rights; install.sh --uninstall takes it away again.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
app=$data/zhiyin-app
bin=$HOME/.local/bin
user_data=${ZHIYIN_HOME:-$data/Zhiyin}

refresh() {
    # What the desktop has noted of programs and kinds of files; without these tools it looks by itself.
    if command -v update-desktop-database >/dev/null; then update-desktop-database -q "$data/applications" || true; fi
    if command -v update-mime-database >/dev/null; then update-mime-database "$data/mime" || true; fi
    if command -v gtk-update-icon-cache >/dev/null; then gtk-update-icon-cache -q "$data/icons/hicolor" || true; fi
}

remove_program() {
    rm -rf "$app"
    rm -f "$bin/zhiyin" "$data/applications/zhiyin.desktop" "$data/mime/packages/zhiyin-mime.xml"
    find "$data/icons/hicolor" -name 'zhiyin.png' -delete 2>/dev/null || true
    rm -f "$data/icons/hicolor/scalable/apps/zhiyin.svg"
    refresh
}

ask_about_data() {
    [ -d "$user_data" ] || return 0
    size=$(du -sh "$user_data" | cut -f1)
    printf 'Delete your chats, models and settings in %s (%s) too? This cannot be undone. [y/N] ' "$user_data" "$size"
    read -r answer || answer=n
    case $answer in
    [yY]*) rm -rf "$user_data" && echo "Deleted." ;;
    *) echo "They stay in $user_data." ;;
    esac
}

if [ "${1:-}" = "--uninstall" ]; then
    remove_program
    echo "Zhiyin was removed."
    ask_about_data
    exit 0
fi

new=$app.new
rm -rf "$new"
mkdir -p "$new" "$bin" "$data/applications" "$data/mime/packages"
cp -R "$here/zhiyin/." "$new/"
cp "$here/install.sh" "$new/"
rm -rf "$app"
mv "$new" "$app"
ln -sf "$app/zhiyin" "$bin/zhiyin"
# In Exec= a path with spaces must be quoted.
sed "s|^Exec=.*|Exec=\"$app/zhiyin\" %f|" "$here/share/zhiyin.desktop" >"$data/applications/zhiyin.desktop"
cp "$here/share/zhiyin-mime.xml" "$data/mime/packages/"
for icon in "$here"/share/icons/*.png; do
    size=$(basename "$icon" .png)
    mkdir -p "$data/icons/hicolor/${size}x${size}/apps"
    cp "$icon" "$data/icons/hicolor/${size}x${size}/apps/zhiyin.png"
done
mkdir -p "$data/icons/hicolor/scalable/apps"
cp "$here/share/icons/zhiyin.svg" "$data/icons/hicolor/scalable/apps/"
refresh
echo "Zhiyin is installed: look for it among your programs, or run $bin/zhiyin."
echo "To remove it: $app/install.sh --uninstall"
