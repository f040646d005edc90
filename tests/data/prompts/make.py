"""Renders published templates with transformers, and notes what came out.

    python make.py LLAMA_CPP_SOURCE/models/templates [NOTED.json]

Without a second name, prompts.json beside this file. Another folder of *.jinja, such as the templates that the package xinference
has in its models' descriptions, is noted elsewhere for `tests.benchmarks.compare_templates`.

Needs transformers (written with transformers 5.24.0). A prompt is noted by its SHA-256, "" where the template refuses
the chat.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
TOKENIZER = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.BPE()),
    bos_token="<BOS>",  # noqa: S106 - a token of a vocabulary
    eos_token="<EOS>",  # noqa: S106 - the same
)


def main() -> None:
    cases = json.loads((HERE / "cases.json").read_text("utf-8"))
    noted: dict[str, dict[str, str]] = {}
    for file in sorted(Path(sys.argv[1]).glob("*.jinja")):
        noted[file.name] = {name: rendered(file.read_text("utf-8"), case) for name, case in cases.items()}
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "prompts.json"
    out.write_text(json.dumps(noted, indent=1) + "\n", "utf-8")


def rendered(template: str, case: dict) -> str:
    try:
        prompt = TOKENIZER.apply_chat_template(
            case["messages"],
            tools=case.get("tools"),
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
            **case.get("extra", {}),
        )
    except Exception:
        return ""
    return sha256(prompt.encode()).hexdigest()


if __name__ == "__main__":
    main()
