"""Makes the installers of Windows from the bundle: a setup program by NSIS, and a zip file that needs no installation.

    uv run python packaging/windows/make.py dist/zhiyin dist/installers

Signing comes between the two steps where SIGN names a command: it is run with the path of every program and of the setup, for
instance `signtool sign /fd sha256 /tr URL /td sha256 /a` or `osslsigncode`'s wrapper on another system.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
_USUAL_PLACE = Path(r"C:\Program Files (x86)\NSIS\makensis.exe")


def version() -> str:
    """Return the version that pyproject.toml names."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("pyproject.toml has no version.")
    return found[1]


def machine() -> str:
    """Return the processor's kind as file names have it."""
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())


def sign(*paths: Path) -> None:
    """Run the signing command, where there is one."""
    command = shlex.split(os.environ.get("SIGN", ""))
    for path in paths if command else ():
        subprocess.run([*command, str(path)], check=True)


def make_setup(bundle: Path, icon: Path, target: Path) -> None:
    """Pack the bundle into a setup program."""
    tool = shutil.which("makensis") or (str(_USUAL_PLACE) if _USUAL_PLACE.is_file() else None)
    if tool is None:
        raise SystemExit("makensis is missing; install NSIS 3.")
    values = {"VERSION": version(), "BUNDLE": bundle.resolve(), "ICON": icon.resolve(), "OUT": target.resolve()}
    defined = [f"-D{name}={value}" for name, value in values.items()]
    subprocess.run([tool, "-V2", "-INPUTCHARSET", "UTF8", *defined, str(HERE / "zhiyin.nsi")], check=True)


def make_portable(bundle: Path, target: Path) -> None:
    """Pack the bundle into a zip file with one folder, Zhiyin."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(bundle.rglob("*")):
            packed.write(path, Path("Zhiyin", path.relative_to(bundle)).as_posix())


def main() -> None:
    """Make both."""
    bundle, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    name = f"zhiyin-{version()}-windows-{machine()}"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(ROOT / "packaging" / "icons.py"), folder], check=True)
        sign(*bundle.glob("*.exe"))
        make_portable(bundle, out / f"{name}-portable.zip")
        make_setup(bundle, Path(folder, "zhiyin.ico"), out / f"{name}-setup.exe")
    sign(out / f"{name}-setup.exe")


if __name__ == "__main__":
    main()
