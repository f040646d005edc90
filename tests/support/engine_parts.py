"""Engine parts for tests: small plug-ins of ggml, compiled here, in archives as `packaging/engine/build.py` makes them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from desktop_app.engine.parts.manifest import MANIFEST, SIGNATURE, engine_version, this_system

PLUG_INS = {
    "aborting": "#include <stdlib.h>\nvoid *ggml_backend_init(void) { abort(); }\n",
    "aborting_at_load": "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { abort(); }\n"
    "void *ggml_backend_init(void) { return 0; }\n",
    "hanging_at_load": "#include <unistd.h>\n__attribute__((constructor)) static void f(void) { for (;;) sleep(1); }\n",
    "empty": "int nothing;\n",
    "without_device": "void *ggml_backend_init(void) { return 0; }\n",
    "needing": "int missing_function(void);\nvoid *ggml_backend_init(void) { return (void *)(long)missing_function(); }\n",
}
"""What they do wrong -> their C source."""


def plug_in(kind: str, folder: Path) -> bytes:
    """Compile one and return its bytes."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source, out = folder / f"{kind}.c", folder / f"{kind}.so"
    source.write_text(PLUG_INS[kind])
    subprocess.run([compiler, "-shared", "-fPIC", "-o", out, source], check=True)
    return out.read_bytes()


def part_archive(
    path: Path,
    files: dict[str, bytes],
    key: SigningKey | None = None,
    part: str = "vulkan",
    changes: dict[str, Any] | None = None,
) -> Path:
    """Write an archive whose manifest fits this computer, but for `changes`."""
    manifest = {
        "format": 1,
        "part": part,
        "system": this_system(),
        "llama_cpp_python": engine_version(),
        "sources_sha256": "0" * 64,
        "files": {n: {"size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()},
        **(changes or {}),
    }
    data = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(MANIFEST, data)
        if key is not None:
            packed.writestr(SIGNATURE, key.sign(data).signature)
        for name, content in files.items():
            packed.writestr(name, content)
    return path
