"""Parts that crash, do not load or are damaged: the engine starts, says why, and goes on without them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from desktop_app.engine.parts.store import part_store
from desktop_app.engine.protocol import Devices, Load, Tokenize
from desktop_app.system.devices import EnginePart
from models.errors import BadFile, error_from_data
from tests.support.commands import zhiyin
from tests.support.engine_parts import part_archive, plug_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="compiles plug-ins for Linux")


def parts_of_engine() -> list[EnginePart]:
    with Engine() as engine:
        found = engine.submit(Devices()).result(60)
    assert [device.type for device in found.devices] == ["cpu"]
    return list(found.parts)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("aborting", r"vulkan crashed in its trial \(SIGABRT\)\."),
        ("aborting_at_load", r"vulkan crashed in its trial \(SIGABRT\)\."),
        ("empty", r"vulkan does not load \(failed to find ggml_backend_init in libggml-vulkan.so\)\."),
        ("without_device", r"vulkan does not load \(failed to initialize backend .*returned NULL\)\."),
        ("needing", r"vulkan does not load \(libggml-vulkan.so: undefined symbol: missing_function\)\."),
    ],
)
def test_a_part_that_cannot_be_used_is_left_alone_with_its_reason(kind: str, sentence: str, tmp_path: Path) -> None:
    part_store().add(part_archive(tmp_path / "a.zip", {"libggml-vulkan.so": plug_in(kind, tmp_path)}), unsigned=True)
    (part,) = parts_of_engine()
    assert part.state == "failed"
    assert part.failure is not None
    reason = str(error_from_data(part.failure))
    assert re.fullmatch(sentence, reason), reason
    trial = part_store().parts()[0].trial
    assert trial is not None
    assert parts_of_engine() == [part], "the second start takes the first one's word"
    assert part_store().parts()[0].trial == trial


def test_a_library_that_was_changed_after_it_was_added_is_not_loaded(tmp_path: Path) -> None:
    part = part_store().add(part_archive(tmp_path / "a.zip", {"libggml-vulkan.so": b"x" * 99}), unsigned=True)
    (part.folder / "libggml-vulkan.so").write_bytes(b"y" * 99)
    (found,) = parts_of_engine()
    assert found.failure is not None
    assert "libggml-vulkan.so is damaged; add the engine part again." in str(error_from_data(found.failure))


def test_a_part_of_another_release_is_named_and_can_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update: nobody would know why the graphics card is not used any more."""
    changes = {"llama_cpp_python": "0.0.1"}
    archive = part_archive(tmp_path / "a.zip", {"libggml-vulkan.so": b"x" * 99}, changes=changes)
    with monkeypatch.context() as earlier:
        earlier.setattr("desktop_app.engine.parts.manifest.engine_version", lambda: "0.0.1")
        part = part_store().add(archive, unsigned=True)
        assert part.in_use
    (state,) = parts_of_engine()
    assert (state.id, state.state) == (part.manifest.id, "failed")
    assert state.failure is not None
    assert "was built for the engine 0.0.1" in str(error_from_data(state.failure))
    assert "get the part of this release" in zhiyin("engine", "list").stdout
    with pytest.raises(BadFile, match="built for the engine"):
        part_store().use("vulkan")
    assert part_store().mode == "auto"
    part_store().remove("vulkan")
    assert (parts_of_engine(), part.folder.exists()) == ([], False)


def test_the_engine_computes_beside_a_part_that_crashes(tmp_path: Path, starter_gguf: Path) -> None:
    archive = part_archive(tmp_path / "a.zip", {"libggml-cuda.so": plug_in("aborting", tmp_path)}, part="cuda")
    listed = zhiyin("engine", "add", str(archive), "--unsigned")
    assert listed.returncode == 0
    assert "failed: cuda crashed in its trial (SIGABRT)." in listed.stdout
    with Engine() as engine:
        engine.submit(Load(starter_gguf)).result(60)
        assert engine.submit(Tokenize("Hello")).result(60).ids
    assert "crashed in its trial" in zhiyin("hardware").stdout
    assert zhiyin("engine", "use", "cpu").returncode == 0
    assert [part.state for part in parts_of_engine()] == ["off"]
    assert zhiyin("engine", "remove", "cuda").returncode == 0
    assert parts_of_engine() == []
