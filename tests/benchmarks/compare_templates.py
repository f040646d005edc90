"""Compares renderings of published templates with transformers' own, as tests/data/prompts/make.py noted them.

    uv run python -m tests.benchmarks.compare_templates FOLDER_OF_JINJA NOTED.json

Prints each chat of each template that is rendered otherwise, and why: transformers refuses it and we do not, or the other way
round, or the texts differ. The chats are tests/data/prompts/cases.json.

Meant to differ, with what llama.cpp's 70 templates, xinference's 85 and 16 of huggingface.js and chujiezheng gave with 10 chats
each (1,612 of 1,710 equal):
- 60 chats whose content is null fail there, where a template adds it to a text; 15 where it adds arguments, JSON text here;
- 9 with a system prompt are refused there, and 7 lose it without a word: it goes into the first message here;
- 4 have a call that is shown only beside no content, and 3 arguments that are written as Python does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

from models.chat.template import render
from models.errors import ZhiyinError

_CASES = json.loads((Path(__file__).parents[1] / "data" / "prompts" / "cases.json").read_text("utf-8"))


def main() -> None:
    """Compare and print."""
    noted = json.loads(Path(sys.argv[2]).read_text("utf-8"))
    counts: Counter[str] = Counter()
    for file, wanted in sorted(noted.items()):
        text = (Path(sys.argv[1]) / file).read_text("utf-8")
        for case, digest in wanted.items():
            verdict, detail = _verdict(text, case, digest)
            counts[verdict] += 1
            if verdict != "equal":
                print(f"{file}, {case}: {verdict}{detail}")
    print(f"{len(noted)} templates: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))


def _verdict(text: str, case: str, digest: str) -> tuple[str, str]:
    said = _CASES[case]
    messages, tools, extra = said["messages"], said.get("tools"), said.get("extra", {})
    try:
        prompt = render(text, messages, tools=tools, bos="<BOS>", eos="<EOS>", **extra)
    except ZhiyinError as error:
        return ("equal" if not digest else "refused by us alone"), f" ({error})"
    if not digest:
        return "refused by transformers alone", ""
    return ("equal" if sha256(prompt.encode()).hexdigest() == digest else "different"), ""


if __name__ == "__main__":
    main()
