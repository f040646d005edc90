"""`zhiyin search` against a server that plays the Hub."""

from __future__ import annotations

import json

import pytest

from desktop_app.cli import main
from tests.support.hub_server import HubServer, Repository


def test_what_is_found_is_a_table_or_facts(capsys: pytest.CaptureFixture[str]) -> None:
    with HubServer() as server:
        facts = {"downloads": 1200, "cardData": {"license": "mit"}, "config": {"architectures": ["Qwen2ForCausalLM"]}}
        server.repositories["org/tea"] = Repository({"main": {}}, gated=True, facts=facts)
        assert main(["search", "tea", "--endpoint", server.endpoint]) == 0
        table = capsys.readouterr().out.splitlines()
        assert table[0].split() == ["model", "family", "size", "licence", "downloads"]
        assert table[1].split()[:2] == ["org/tea", "(gated)"]
        assert "Qwen2" in table[1]
        assert table[1].split()[-2:] == ["mit", "1,200"]
        assert main(["search", "tea", "--endpoint", server.endpoint, "--json"]) == 0
        [found] = json.loads(capsys.readouterr().out)
        assert (found["name"], found["licence"], found["gated"]) == ("org/tea", "mit", True)
        assert main(["search", "coffee", "--endpoint", server.endpoint]) == 0
        assert "Nothing was found" in capsys.readouterr().err
