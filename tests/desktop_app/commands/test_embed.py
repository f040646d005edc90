"""`zhiyin embed`: what it refuses, in one sentence that names the model as the user did."""

from __future__ import annotations

import pytest

from tests.support.commands import zhiyin

STARTER = "SmolLM2-135M-Instruct"
BUNDLED = "multilingual-e5-small"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((BUNDLED, "tea", " "), "A text without a word has no vector; give each text at least one."),
        (
            (STARTER, "tea"),
            f"{STARTER} writes texts and makes no vectors; choose an embedding model, such as {BUNDLED}.",
        ),
        (
            ("absent", "tea"),
            f"There is no model and no file named 'absent'; the installed models are: {STARTER}, {BUNDLED}.",
        ),
    ],
)
def test_what_has_no_vector_is_refused(arguments: tuple[str, ...], sentence: str) -> None:
    done = zhiyin("embed", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"zhiyin: {sentence}\n")
