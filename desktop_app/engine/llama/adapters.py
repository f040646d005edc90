"""LoRA adapters on a model that llama.cpp has loaded: each file is read once, and switching costs nothing."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import llama_cpp.llama_cpp as llama

from converter.gguf_header import NO_WEIGHTS, GGUFHeader, GGUFTensor, all_tensors, read_gguf_header
from desktop_app.engine.llama.log import log_lines
from desktop_app.engine.protocol import AdapterUse
from models.errors import BadFile, UnsupportedModel, ZhiyinError
from models.system_reasons import system_reason

_KNOWN_KEYS = {"general.type": str, "general.architecture": str, "adapter.type": str, "adapter.lora.alpha": float}


class LlamaAdapters:
    """The adapters of one model; llama.cpp frees them with it."""

    def __init__(self, model: llama.llama_model_p, context: llama.llama_context_p, header: GGUFHeader) -> None:
        """Begin with none; `header` is the model's, of a split one its first part's."""
        self._model = model
        self._context = context
        self._header = header
        self._loaded: dict[tuple[str, int, int], llama.llama_adapter_lora_p] = {}
        self._used: tuple[tuple[tuple[str, int, int], float], ...] = ()

    def use(self, adapters: Sequence[AdapterUse]) -> bool:
        """Put these adapters, and no others, on the model; tell whether they differ from the ones before.

        Raises:
            ZhiyinError: one is no adapter for this model; those before stay.
        """
        wanted = tuple((self._load(adapter.path), adapter.scale) for adapter in adapters)
        if wanted == self._used:
            return False
        for adapter in adapters:
            if not math.isfinite(adapter.scale):
                raise ZhiyinError(
                    "{scale} is no scale for {path}; give a number such as 1 or 0.5.",
                    scale=adapter.scale,
                    path=adapter.path,
                )
        pointers = (llama.llama_adapter_lora_p_ctypes * len(wanted))(*(self._loaded[key] for key, _ in wanted))
        scales = (ctypes.c_float * len(wanted))(*(scale for _, scale in wanted))
        if llama.llama_set_adapters_lora(self._context, pointers, len(wanted), scales):
            raise ZhiyinError("llama.cpp did not take the adapters; load the model again.")
        self._used = wanted
        return True

    @cached_property
    def _tensors(self) -> dict[str, GGUFTensor]:
        """The model's tensors, of all parts."""
        return all_tensors(self._header)

    def _load(self, path: Path) -> tuple[str, int, int]:
        """Read a file unless it was read before; return what tells it from others."""
        try:
            status = path.stat()
        except OSError as error:
            raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
        key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        if key not in self._loaded:
            self._check(path)
            adapter = llama.llama_adapter_lora_init(self._model, os.fsencode(path))
            if not adapter:
                reason = log_lines[-1] if log_lines else "no reason given"
                raise BadFile(
                    "{path} cannot be put on {model} ({reason}); convert it for this model.",
                    path=path,
                    model=self._header.path.name,
                    reason=reason,
                )
            self._loaded[key] = adapter
        return key

    def _check(self, path: Path) -> None:
        """Refuse what is no adapter for this model, and what llama.cpp would end the process for."""
        header = read_gguf_header(path, arrays=False)
        values = {key: header.metadata.get(key) for key in _KNOWN_KEYS}
        if values["general.type"] != "adapter" or values["adapter.type"] != "lora":
            raise BadFile("{path} is no LoRA adapter; make one by `zhiyin convert ADAPTER --as-adapter`.", path=path)
        if any(value is not None and not isinstance(value, _KNOWN_KEYS[key]) for key, value in values.items()):
            raise BadFile("{path} describes itself wrongly; convert the adapter again.", path=path)
        if header.architecture != self._header.architecture:
            raise UnsupportedModel(
                "{path} is an adapter for {architecture}, but {model} is {expected}; choose an adapter of this model.",
                path=path,
                architecture=header.architecture,
                model=self._header.path.name,
                expected=self._header.architecture,
            )
        for name, tensor in header.tensors.items():
            module, _, part = name.rpartition(".")
            other = header.tensors.get(f"{module}.lora_b")
            if part == "lora_a" and other is not None:
                self._check_pair(path, module, tensor, other)

    def _check_pair(self, path: Path, module: str, first: GGUFTensor, second: GGUFTensor) -> None:
        """Check A and B of one tensor, of stacked experts with an axis for them before the others."""
        a, b = first.shape, second.shape
        base = self._tensors.get(module)
        is_embedding = module == "token_embd.weight"
        tied = is_embedding and "output.weight" not in self._tensors and base is not None
        wrong_type = not NO_WEIGHTS.isdisjoint((first.type, second.type))
        if len(a) < 2 or len(a) != len(b) or (is_embedding and len(a) > 2) or tied or wrong_type:
            raise UnsupportedModel(
                "{path} changes {module} in a way that llama.cpp cannot apply to {model}; merge the adapter into "
                "its base instead (zhiyin convert --lora).",
                path=path,
                module=module[:80],
                model=self._header.path.name,
            )
        rank, shape = (a[1], (a[0], b[0])) if is_embedding else (a[-2], (*a[:-2], b[-2], a[-1]))
        if base is not None and (rank != b[-1] or a[:-2] != b[:-2] or base.shape != shape):
            raise BadFile(
                "{path} was made for a model whose {module} is {shape}, but in {model} it is {expected}; choose "
                "the model that it belongs to.",
                path=path,
                module=module[:80],
                shape=" x ".join(map(str, shape)),
                model=self._header.path.name,
                expected=" x ".join(map(str, base.shape)),
            )
