"""Which folders are adapters, by their files alone."""

from __future__ import annotations

from pathlib import Path

CONFIG_FILE = "adapter_config.json"


def is_adapter(path: Path) -> bool:
    """Tell whether a folder holds an adapter and no model of its own."""
    if not (path / CONFIG_FILE).is_file():
        return False
    weights = [*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")]
    return all(file.name.startswith("adapter") for file in weights)
