"""What a server's clients hear of a reply."""

from __future__ import annotations

from desktop_app.server.replies import _calls


def test_a_broken_call_is_left_out() -> None:
    """A client would make it with arguments that the model never gave."""
    whole = {"function": {"name": "add", "arguments": '{"a": 1}'}}
    broken = {"function": {"name": "remove", "arguments": "{}"}, "fault": "The call is not whole."}
    assert [(call.name, call.arguments) for call in _calls([whole, broken])] == [("add", '{"a": 1}')]
