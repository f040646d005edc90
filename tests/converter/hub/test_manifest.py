"""What a download remembers of its conversions."""

from __future__ import annotations

from pathlib import Path

from converter.hub.manifest import converted_from, earlier_conversion, note_conversion


def made(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(b"GGUF" + name.encode())
    return path


def test_models_of_one_repository_are_told_apart(tmp_path: Path) -> None:
    """RWKV's repositories hold a file for each size: the second must not be taken for the first."""
    folder = tmp_path / "BlinkDL--rwkv-7-world"
    folder.mkdir()
    small, large = folder / "small.pth", folder / "large.pth"
    first = made(tmp_path, "small-Q8_0.gguf")
    note_conversion(folder, small, "c1", "Q8_0", first)
    assert earlier_conversion(folder, small, "c1", "Q8_0") == (first, True)
    assert earlier_conversion(folder, large, "c1", "Q8_0") == (None, False)
    second = made(tmp_path, "large-Q8_0.gguf")
    note_conversion(folder, large, "c1", "Q8_0", second)
    assert earlier_conversion(folder, large, "c1", "Q8_0") == (second, True)
    assert converted_from(folder, "small.pth") == [first]
    assert converted_from(folder) == [first, second]


def test_a_newer_commit_or_a_changed_file_is_not_up_to_date(tmp_path: Path) -> None:
    path = made(tmp_path, "model.gguf")
    note_conversion(tmp_path, tmp_path, "c1", "Q4_K_M", path)
    assert earlier_conversion(tmp_path, tmp_path, "c1", "Q4_K_M") == (path, True)
    assert earlier_conversion(tmp_path, tmp_path, "c1", "Q8_0") == (None, False)
    assert earlier_conversion(tmp_path, tmp_path, "c2", "Q4_K_M") == (path, False)
    path.write_bytes(b"longer than it was")
    assert earlier_conversion(tmp_path, tmp_path, "c1", "Q4_K_M") == (path, False)
    path.unlink()
    assert earlier_conversion(tmp_path, tmp_path, "c1", "Q4_K_M") == (None, False)
    assert converted_from(tmp_path / "nowhere") == []
