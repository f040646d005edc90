"""Prompt formats of RWKV, whose checkpoints carry no template: Raven, World and G1.

Sources: BlinkDL/ChatRWKV, v2/chat.py and API_DEMO_CHAT.py; BlinkDL/RWKV-LM, RWKV-v7/RWKV7-G1x-templates.txt. A blank line
separates turns in the training data, so none may stand inside a message. A prompt never ends in a space or in a whole `<think>`:
the model has tokens for what follows, with the space or the bracket in front.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from models.config import Config
from models.family import STOP, ChatFormat
from models.vocab.chat_templates import read_chat_templates
from models.vocab.special import special_text
from models.vocab.vocabulary import PREFIX, Vocabulary

_CLEAN = r"""{%- macro clean(text) -%}
{{ (text or '').replace('\r\n', '\n').split('\n') | reject('equalto', '') | join('\n') | trim }}
{%- endmacro -%}
"""

_TURNS = (
    _CLEAN
    + r"""{{- {opening} -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- '{user}: ' + clean(message.content) + '\n\n' -}}
{%- elif message.role == 'assistant' -%}
{{- '{assistant}: ' + clean(message.content) + '\n\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '{assistant}:' -}}{%- endif -%}"""
)

_RAVEN_OPENING = (
    r"(clean(messages[0].content) if messages and messages[0].role == 'system' else "
    r"'The following is a coherent verbose detailed conversation between Alice and her friend Bob. Alice is very intelligent, "
    r"creative and friendly, and gives Bob kind, helpful and informative advice.') + '\n\n'"
)
_WORLD_OPENING = (
    r"'User: ' + (clean(messages[0].content) if messages and messages[0].role == 'system' else 'hi') + "
    r"'\n\nAssistant: Hi. I am your assistant and I will provide expert full response in full details. Please feel free to ask "
    r"any question and I will always answer it.\n\n'"
)

_G1 = (
    _CLEAN
    + r"""{%- set system = clean(messages[0].content) if messages and messages[0].role == 'system' else '' -%}
{%- if tools -%}
{%- set system = system + ('\n' if system else '') + 'Tools: ' + (tools | tojson) + '\nReturn only a JSON function call.' -%}
{%- endif -%}
{%- if system -%}{{- 'System: ' + system + '\n\n' -}}{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- 'User: ' + clean(message.content) + '\n\n' -}}
{%- elif message.role == 'tool' -%}
{{- 'User: Function output:\n' + clean(message.content) + '\n\n' -}}
{%- elif message.role == 'assistant' -%}
{{- 'Assistant: ' + clean((message.content or '').split('</think>')[-1]) + '\n\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- 'Assistant: <think' if enable_thinking is not defined or enable_thinking else 'Assistant:' -}}
{%- endif -%}"""
)

_NEXT_TURNS = (
    "\n\nUser:",
    "\n\nSystem:",
    "\n\nAssistant:",
    "\n\nBob:",
    "\n\nAlice:",
    "\n\nQ:",
    "\n\nInstruction:",
    "\n\n# ",
)
_DOCUMENT_START = "<|rwkv_tokenizer_end_of_text|>"
"""How the tokenizer on Hugging Face writes id 0. In our files no text is that token: a user could type it."""
_BLANK_LINE = ("\n\n",)
"""Ends a reply of Raven and World: they were trained on replies without one."""
_COMPLETION_ONLY = re.compile(r"(?<![a-z])(pile|novel|music|abc|midi)(?![a-z])")


def _filled(opening: str, user: str, assistant: str) -> str:
    parts = {"{opening}": opening, "{user}": user, "{assistant}": assistant}
    text = _TURNS
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


_OPEN = {"top_k": 0, "min_p": 0.0, "penalty_repeat": 1.0}
RAVEN = ChatFormat(_filled(_RAVEN_OPENING, "Bob", "Alice"), _BLANK_LINE, {"temp": 1.2, "top_p": 0.5, **_OPEN})
WORLD = ChatFormat(_filled(_WORLD_OPENING, "User", "Assistant"), _BLANK_LINE, {"temp": 1.0, "top_p": 0.3, **_OPEN})
G1 = ChatFormat(_G1, _NEXT_TURNS, {"temp": 1.0, "top_p": 0.3, **_OPEN})


def raven_chat(config: Config) -> ChatFormat | None:
    """Return RWKV-4's format: Raven's by its name, World's by its vocabulary; Pile models only go on with texts."""
    name = _name(config)
    if "raven" in name:
        return RAVEN
    return WORLD if config.int("vocab_size") == 65536 and not _completes(name) else None


def world_chat(config: Config) -> ChatFormat | None:
    """Return the format of RWKV-5, 6 and the first RWKV-7."""
    return None if _completes(_name(config)) else WORLD


def g1_chat(config: Config) -> ChatFormat | None:
    """Return RWKV-7's format: G1's, unless the name says World."""
    return world_chat(config) if "world" in _name(config) else None if _completes(_name(config)) else G1


def with_own_template(vocabulary: Vocabulary, folder: Path) -> Vocabulary:
    """Return a built-in vocabulary with the chat template that lies beside the weights, where one does.

    What such a template takes from the publisher's Hugging Face tokenizer comes along: a prompt that begins with id 0, and an
    `eos_token` that is an ordinary text there (a blank line). A blank line ends replies only where the turns are World's.
    """
    template = read_chat_templates(folder).default
    if template is None:
        return vocabulary
    extra = dict(vocabulary.extra)
    if _DOCUMENT_START in template:
        template = template.replace(_DOCUMENT_START, "")
        extra[PREFIX] = [0]
    end = special_text(folder, "eos")
    if end not in (None, _DOCUMENT_START) and "eos_token" in template:
        template = f"{{%- set eos_token = {json.dumps(end)} -%}}{template}"
    if "User:" not in template:
        extra[STOP] = list(_NEXT_TURNS)
    return replace(vocabulary, chat_template=template, extra=extra)


def _name(config: Config) -> str:
    return config.str("_name_or_path", default="").lower()


def _completes(name: str) -> bool:
    return _COMPLETION_ONLY.search(name) is not None
