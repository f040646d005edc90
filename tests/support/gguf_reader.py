"""The package gguf's reader of GGUF files, quicker."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np


class GGUFReader(gguf.GGUFReader):
    """It makes several arrays for each of a vocabulary's strings: of NumPy's class for mapped files they take seconds."""

    def _get(self, *arguments: Any, **options: Any) -> np.ndarray:
        self.data = np.asarray(self.data)
        return super()._get(*arguments, **options)
