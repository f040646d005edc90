"""A newer release: found where the user says, believed only when the makers signed it, fetched whole or not at all."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from desktop_app import cli
from desktop_app.engine.parts.manifest import this_system
from desktop_app.engine.parts.store import PartStore
from desktop_app.updates import INSTALL, MANIFEST, fetch_installer, how_to_install, offered, read_release
from models.errors import BadFile, ZhiyinError
from tests.support.engine_parts import part_archive

ROOT = Path(__file__).parents[2]
MACHINE = this_system().rpartition("-")[2]
NAMES = {
    "linux": f"zhiyin-9.0.0-linux-{'aarch64' if MACHINE == 'arm64' else MACHINE}.tar.zst",
    "win32": f"zhiyin-9.0.0-windows-{MACHINE}-portable.zip",
    "darwin": f"zhiyin-9.0.0-macos-{MACHINE}.dmg",
}
INSTALLER = NAMES[sys.platform]
CONTENT = b"installer" * 100_000


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def sign() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zhiyin_sign", ROOT / "packaging" / "sign.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def key(sign: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private key, whose public half this Zhiyin trusts."""
    sign.new_key(tmp_path / "key", tmp_path / "release.pub")
    monkeypatch.setattr("desktop_app.release_key.RELEASE_KEY", tmp_path / "release.pub")
    return tmp_path / "key"


@pytest.fixture
def release(sign: ModuleType, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a newer release, for an installation of the kind that this system has."""
    kind = {"linux": "archive", "win32": "portable", "darwin": "dmg"}[sys.platform]
    monkeypatch.setattr("desktop_app.updates.installed_as", lambda: kind)
    folder = tmp_path / "发布 release"
    folder.mkdir()
    (folder / INSTALLER).write_bytes(CONTENT)
    (folder / "README.txt").write_text("no installer", "utf-8")
    sign.describe_release(folder, "9.0.0", sign.read_key(key), "更新说明")
    return folder


@pytest.fixture
def address(release: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(release)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{MANIFEST}"
    server.shutdown()
    server.server_close()


def test_a_private_key_is_its_owners_alone_and_never_overwritten(sign: ModuleType, key: Path) -> None:
    if sys.platform != "win32":
        assert key.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        sign.new_key(key, key.with_name("other.pub"))


def test_a_newer_release_is_fetched_and_checked(address: str, tmp_path: Path) -> None:
    found = read_release(address)
    assert (found.version, found.newer, found.notes) == ("9.0.0", True, "更新说明")
    assert [file.name for file in found.files] == [INSTALLER]
    file = offered(found)
    assert file is not None
    counted: list[int] = []
    path = fetch_installer(address, file, tmp_path / "to", counted.append)
    assert path.read_bytes() == CONTENT
    assert sum(counted) == len(CONTENT)
    assert str(path) in how_to_install(file, path, found)
    counted.clear()
    fetch_installer(address, file, tmp_path / "to", counted.append)
    assert counted == [], "what is here already is not fetched again"


def test_a_release_on_a_stick_needs_no_network(release: Path, tmp_path: Path) -> None:
    address = str(release / MANIFEST)
    file = offered(read_release(address))
    assert file is not None
    assert fetch_installer(address, file, tmp_path / "to", lambda count: None).read_bytes() == CONTENT


@pytest.mark.parametrize("web", [True, False])
def test_another_installer_than_listed_is_thrown_away(address: str, release: Path, tmp_path: Path, web: bool) -> None:
    where = address if web else str(release / MANIFEST)
    file = offered(read_release(where))
    assert file is not None
    (release / INSTALLER).write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(BadFile, match="is not what the release lists"):
        fetch_installer(where, file, tmp_path / "to", lambda count: None)
    assert list((tmp_path / "to").iterdir()) == []


def test_what_the_makers_did_not_sign_is_not_used(release: Path) -> None:
    path = release / MANIFEST
    path.write_bytes(path.read_bytes().replace(b"9.0.0", b"9.0.1"))
    with pytest.raises(BadFile, match="is not signed by the makers"):
        read_release(str(path))


def test_a_description_without_its_signature_is_said_to_lack_it(release: Path) -> None:
    (release / f"{MANIFEST}.sig").unlink()
    with pytest.raises(BadFile, match=r"has no signature beside it \(update.json.sig\)"):
        read_release(str(release / MANIFEST))


def test_without_a_key_nothing_is_believed(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop_app.release_key.RELEASE_KEY", tmp_path / "absent")
    with pytest.raises(BadFile, match="is not signed by the makers"):
        read_release(str(release / MANIFEST))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"format": 2, "version": "9.0", "files": []}, "written for a newer Zhiyin"),
        ({"format": 1, "version": "9.0; rm", "files": []}, "is no description of a release"),
        ([], "is no description of a release"),
    ],
)
def test_a_signed_but_strange_description_is_refused(
    sign: ModuleType, key: Path, tmp_path: Path, content: object, sentence: str
) -> None:
    data = json.dumps(content).encode()
    (tmp_path / MANIFEST).write_bytes(data)
    (tmp_path / f"{MANIFEST}.sig").write_bytes(sign.read_key(key).sign(data).signature)
    with pytest.raises(BadFile, match=sentence):
        read_release(str(tmp_path / MANIFEST))


def test_a_name_that_leads_elsewhere_is_refused(sign: ModuleType, key: Path, tmp_path: Path) -> None:
    file = {"name": "../evil.deb", "kind": "deb", "system": this_system(), "size": 1, "sha256": "0" * 64}
    data = json.dumps({"format": 1, "version": "9.0.0", "files": [file]}).encode()
    (tmp_path / MANIFEST).write_bytes(data)
    (tmp_path / f"{MANIFEST}.sig").write_bytes(sign.read_key(key).sign(data).signature)
    with pytest.raises(BadFile, match="is no description"):
        read_release(str(tmp_path / MANIFEST))


def test_a_missing_description_is_said(tmp_path: Path) -> None:
    with pytest.raises(ZhiyinError, match=MANIFEST):
        read_release(str(tmp_path / MANIFEST))


def test_the_command_says_what_to_do(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["update", address]) == 0
    said = capsys.readouterr()
    assert "Zhiyin 9.0.0 is offered." in said.out
    assert f"{INSTALLER} (900 kB) is for this computer" in said.err.replace("900.0", "900")
    assert cli.main(["update", address, "--download", str(tmp_path / "to"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["newer"], Path(facts["path"]).read_bytes()) == (True, CONTENT)


def test_an_older_release_is_no_update(
    sign: ModuleType, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sign.describe_release(tmp_path, "0.0.9", sign.read_key(key))
    assert cli.main(["update", str(tmp_path / MANIFEST)]) == 0
    assert "is not older" in capsys.readouterr().out


def test_a_signed_part_is_taken(sign: ModuleType, key: Path, tmp_path: Path) -> None:
    archive = part_archive(tmp_path / "part.zip", {"libggml-vulkan.so": b"plug-in"})
    store = PartStore(tmp_path / "engine")
    with pytest.raises(BadFile, match="not signed"):
        store.add(archive)
    for _ in range(2):  # signed once more is no harm
        sign.sign_part(archive, sign.read_key(key))
    assert store.add(archive).in_use


@pytest.mark.parametrize(
    ("name", "kind", "system"),
    [
        ("zhiyin_0.1.0_amd64.deb", "deb", "linux-x86_64"),
        ("zhiyin-0.1.0-1.aarch64.rpm", "rpm", "linux-arm64"),
        ("zhiyin-0.1.0-linux-x86_64.tar.zst", "archive", "linux-x86_64"),
        ("zhiyin-0.1.0-windows-x86_64-setup.exe", "setup", "win-x86_64"),
        ("zhiyin-0.1.0-windows-arm64-portable.zip", "portable", "win-arm64"),
        ("zhiyin-0.1.0-macos-arm64.dmg", "dmg", "macosx-arm64"),
        ("zhiyin-engine-cuda-0.3.36-win-x86_64.zip", "engine", "win-x86_64"),
    ],
)
def test_every_installer_is_known_by_its_name(
    sign: ModuleType, tmp_path: Path, name: str, kind: str, system: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    described = sign._described(tmp_path / name)
    assert (described["kind"], described["system"]) == (kind, system)
    assert kind in INSTALL or kind == "engine"
