"""Where else a model is asked for, and by which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.hub.address import HUB, MODELSCOPE
from converter.hub.network_errors import Unreachable
from desktop_app.library.catalogue import catalogue
from desktop_app.library.install import InstallRequest
from desktop_app.library.other_hosts import MIRROR, other_hosts
from models.errors import ZhiyinError

AWAY = Unreachable("{host} cannot be reached.", host="h")


@pytest.mark.parametrize(("endpoint", "left"), [("", {MIRROR, MODELSCOPE}), (MIRROR, {HUB, MODELSCOPE})])
def test_the_others_are_offered(endpoint: str, left: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert {one.request.endpoint for one in other_hosts(InstallRequest("o/n"), endpoint, AWAY)} == left


def test_a_model_is_named_as_the_other_host_does() -> None:
    known = next(m for _, m in catalogue().models() if m.modelscope_source and m.modelscope_source != m.source)
    requests = {one.request.endpoint: one.request for one in other_hosts(InstallRequest(known.source), "", AWAY)}
    assert requests[MODELSCOPE].source == known.modelscope_source
    back = other_hosts(requests[MODELSCOPE], "", AWAY)
    assert {one.request.source for one in back} == {known.source}


def test_nothing_is_offered_where_no_other_host_helps() -> None:
    assert other_hosts(InstallRequest(Path("/here")), "", AWAY) == []
    assert other_hosts(InstallRequest("o/n"), "", ZhiyinError("The disk is full.", code="disk-full")) == []
