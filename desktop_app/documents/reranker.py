"""Scores of passages, by an engine process with a reranking model, which reads each together with the question.

That is slower than vectors, and surer.
"""

from __future__ import annotations

from collections.abc import Sequence

from desktop_app.documents.model_process import ModelProcess
from desktop_app.engine.protocol import Rerank


class Reranker(ModelProcess):
    """One reranking model; its process starts with the first question."""

    context = 1024
    """Tokens of a question, a passage and what stands around them; longer passages are cut."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers a question, from 0 to 1.

        Raises:
            ZhiyinError: the model cannot be loaded or ranks nothing, or the engine died.
        """
        return list(self._started().submit(Rerank(question, tuple(texts))).result().scores)
