"""Requests that schemathesis makes of our own description: none is answered with a fault of the server, or undocumented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from desktop_app.server.app import ROUTES
from desktop_app.server.openapi import description
from tests.support.serving import STARTER, Served, served

LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), "--ctx", "512") as running:
        yield running


def test_every_route_is_described() -> None:
    described = set(description()["paths"])
    assert {route.path for route in ROUTES} - described == {"/", "/openapi.json", "/v1/models/{name:path}"}


@pytest.mark.parametrize("path", sorted(description()["paths"]))
def test_generated_requests_are_answered_as_described(server: Served, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    operation = next(iter(schema[path].values()))

    @settings(max_examples=12, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(case=operation.as_strategy(), known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if isinstance(case.body, dict) and known:
            case.body |= {"model": STARTER}
            case.body |= {name: 1 for name in LENGTHS if name in case.body}
            if path.startswith("/api/"):
                case.body["options"] = {"num_predict": 1}
        case.call_and_validate(
            checks=(not_a_server_error, status_code_conformance, content_type_conformance), timeout=120
        )

    ask()
