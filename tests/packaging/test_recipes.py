"""What makes installers for systems that are not here: the scripts are sound, their names and paths right."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"


@pytest.fixture(scope="module")
def windows() -> ModuleType:
    return load_script(PACKAGING / "windows" / "make.py")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder as PyInstaller makes it, small, with spaces and Chinese in names."""
    folder = tmp_path / "my 知音" / "zhiyin"
    (folder / "_internal" / "resources").mkdir(parents=True)
    (folder / "zhiyin.exe").write_bytes(b"MZ")
    (folder / "_internal" / "resources" / "图标 a.svg").write_text("<svg/>", "utf-8")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="bash there is another one")
@pytest.mark.parametrize("script", sorted(PACKAGING.rglob("*.sh")), ids=lambda path: str(path.relative_to(PACKAGING)))
def test_every_script_is_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)


def test_the_setup_of_windows_is_made(windows: ModuleType, bundle: Path, tmp_path: Path) -> None:
    """NSIS compiles on every system; what it made can only be run on Windows."""
    if shutil.which("makensis") is None:
        pytest.skip("NSIS is not installed")
    subprocess.run([sys.executable, PACKAGING / "icons.py", tmp_path / "icons"], check=True)
    target = tmp_path / "zhiyin setup 安装.exe"
    windows.make_setup(bundle, tmp_path / "icons" / "zhiyin.ico", target)
    assert target.read_bytes()[:2] == b"MZ"


def test_the_portable_archive_keeps_names(windows: ModuleType, bundle: Path, tmp_path: Path) -> None:
    windows.make_portable(bundle, tmp_path / "portable.zip")
    with zipfile.ZipFile(tmp_path / "portable.zip") as packed:
        names = set(packed.namelist())
    assert {"Zhiyin/zhiyin.exe", "Zhiyin/_internal/resources/图标 a.svg"} <= names
    assert all("\\" not in name for name in names)


def test_programs_are_signed_by_the_command_that_is_named(
    windows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note"
    monkeypatch.setenv("SIGN", f"\"{sys.executable}\" -c \"import sys; open(r'{note}', 'a').write(sys.argv[1])\"")
    windows.sign(tmp_path / "a b.exe")
    assert note.read_text("utf-8") == str(tmp_path / "a b.exe")


def test_the_setup_needs_no_administrator_and_asks_about_data() -> None:
    recipe = (PACKAGING / "windows" / "zhiyin.nsi").read_text("utf-8")
    assert "RequestExecutionLevel user" in recipe
    assert not re.search(r"\bHKLM\b|\bHKCR\b|\$PROGRAMFILES", recipe)
    languages = ("ENGLISH", "SIMPCHINESE", "TRADCHINESE")
    for text in re.findall(r"^LangString (\w+) \$\{LANG_ENGLISH\}", recipe, re.MULTILINE):
        assert all(f"LangString {text} ${{LANG_{language}}}" in recipe for language in languages), text
    assert 'MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "$(ASK_DATA)" /SD IDNO' in recipe


def test_the_release_workflow_names_what_is_there() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    systems = workflow["jobs"]["bundle"]["strategy"]["matrix"]["os"]
    assert systems == ["ubuntu-22.04", "windows-latest", "macos-14", "macos-15-intel"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = "\n".join(step.get("run", "") for step in steps)
    named = set(re.findall(r"(?:packaging|tests)/[\w./-]+", commands))
    assert {"packaging/build.sh", "packaging/sign.py", "packaging/engine/build.py", "tests/packaging"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_mac_asks_for_as_little_as_it_can() -> None:
    entitlements = plistlib.loads((PACKAGING / "macos" / "entitlements.plist").read_bytes())
    assert entitlements == {"com.apple.security.cs.allow-unsigned-executable-memory": True}


def test_the_flatpak_opens_no_folder_and_names_its_files() -> None:
    folder = PACKAGING / "linux" / "flatpak"
    recipe = yaml.safe_load((folder / "org.zhiyin.Zhiyin.yaml").read_text("utf-8"))
    assert not [option for option in recipe["finish-args"] if "filesystem" in option or "talk-name" in option]
    metainfo = ET.parse(folder / "org.zhiyin.Zhiyin.metainfo.xml").getroot()  # noqa: S314 - our own file
    assert metainfo.findtext("id") == recipe["id"]
    sources = [source["path"] for source in recipe["modules"][0]["sources"] if source["type"] == "file"]
    assert [name for name in sources if not (folder / name).is_file()] == []
