"""Settings of one model's own in a real server: instructions, sampling and context; the client's own wishes come first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ollama

from tests.support.serving import STARTER, served

ASK: Any = [{"role": "user", "content": "Name a hot drink."}]


def test_what_is_set_for_a_model_counts_for_its_clients_and_may_change(tmp_path: Path) -> None:
    _set(tmp_path, sampling={"max_tokens": 2, "temperature": 0})
    with served(tmp_path) as server:
        client = ollama.Client(server.address)
        plain = client.chat(STARTER, ASK)
        assert plain.eval_count == 2
        assert client.chat(STARTER, ASK, options={"num_predict": 5}).eval_count == 5
        _set(tmp_path, instructions="Speak of nothing but tea. " * 20, context=768)
        instructed = _until_instructed(client, plain.prompt_eval_count or 0)
        assert client.ps().models[0].context_length == 768
        own = [{"role": "system", "content": "Be brief."}, *ASK]
        asked = client.chat(STARTER, own, options={"num_predict": 1})
        assert (asked.prompt_eval_count or 0) < instructed, "the client's instructions stand alone"


def _until_instructed(client: ollama.Client, plain: int) -> int:
    """Ask until the list of models, which is good for two seconds, is new; return the tokens of the prompt."""
    for _ in range(200):
        reply = client.chat(STARTER, ASK, options={"num_predict": 1})
        if (reply.prompt_eval_count or 0) > plain + 5:
            return reply.prompt_eval_count or 0
    raise AssertionError("the instructions never counted")


def _set(home: Path, **values: Any) -> None:
    (home / "model-settings.json").write_text(json.dumps({STARTER: values}), "utf-8")
