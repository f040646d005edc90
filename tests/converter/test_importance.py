"""Importance matrices with experts that no token of the text went to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converter.importance import Collected, Sums, read_importance, write_collected


def test_idle_experts_weigh_all_columns_alike(tmp_path: Path) -> None:
    """As in llama-quantize: a column of weight 0 would be given up."""
    values = np.array([[2, 4, 6, 8], [0, 0, 0, 0], [9, 9, 9, 9]], np.float32)
    sums = Sums(values, np.array([2, 0, 3], np.int64))
    path = tmp_path / "imatrix.gguf"
    write_collected(path, Collected({"blk.0.ffn_up_exps.weight": sums}, 512, ("a text",)))
    found = read_importance(path).of("blk.0.ffn_up_exps.weight", (3, 5, 4))
    assert found is not None
    np.testing.assert_array_equal(found, [[1, 2, 3, 4], [1, 1, 1, 1], [3, 3, 3, 3]])
