"""Prompt formats of the LLaMA-like families whose checkpoint carries no template of its own.

Each template repeats the publisher's own code, named beside it. Formats without a place for a system message get it in front of
the first question. A base model has no format: what is published for chatting is told from it by files that only chat models have
(generation_config.json's extra keys, code), else by the model's name.
"""

from __future__ import annotations

import re

from models.config import Config
from models.family import ChatFormat

_ROLES = """{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{system}
{%- elif message['role'] == 'user' -%}
{user}
{%- elif message['role'] == 'assistant' -%}
{assistant}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{generation}
{%- endif -%}"""

_CONTENT = "message['content']"
_IM_END = "<|im_end|>"
_IM = (_IM_END, "<|im_start|>")


def _roles(*, user: str, assistant: str, generation: str, system: str, opening: str = "") -> str:
    """Return a template; each part is an expression of Jinja."""
    parts = {"system": system, "user": user, "assistant": assistant, "generation": generation}
    template = _ROLES
    for name, expression in parts.items():
        template = template.replace(f"{{{name}}}", "{{- " + expression + " -}}" if expression else "")
    return opening + template


_KEEP_SYSTEM = (
    "{%- set system = messages[0]['content'] + '\\n' if messages and messages[0]['role'] == 'system' else '' -%}"
)
_QUESTION = f"(system if loop.index0 == 1 else '') + {_CONTENT}"
"""A question, the first one with the system message in front."""


def _chatml(opening: str = "", *, start: str = "<|im_start|>", end: str = _IM_END) -> str:
    turn = f"'{start}' + message['role'] + '\\n' + message['content'] + '{end}' + '\\n'"
    return _roles(system=turn, user=turn, assistant=turn, generation=f"'{start}assistant\\n'", opening=opening)


_DEFAULT_SYSTEM = (
    "{%- if not messages or messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}{%- endif -%}"
)
_BOS = "{{- bos_token -}}"

# Qwen/Qwen-7B-Chat, qwen_generation_utils.py (make_context, get_stop_words_ids)
QWEN = ChatFormat(_chatml(_DEFAULT_SYSTEM), stop=_IM, tokens=_IM)
# 01-ai/Yi-34B-Chat, tokenizer_config.json (line 60, and its ends of a reply), as lm-sys/FastChat's conversation.py repeats it
YI = ChatFormat(_chatml(), stop=_IM, tokens=_IM)
# internlm/internlm2-chat-7b, modeling_internlm2.py (build_inputs, chat); in its first release the tokens had no names yet
_UNNAMED = ("[UNUSED_TOKEN_145]", "[UNUSED_TOKEN_146]")
_INTERNLM_SAMPLING = {"temp": 0.8, "top_p": 0.8}
INTERNLM2 = ChatFormat(_chatml(_BOS), stop=(_IM_END,), tokens=_IM, sampling=_INTERNLM_SAMPLING)
INTERNLM2_FIRST = ChatFormat(
    _chatml(_BOS, start=_UNNAMED[1], end=_UNNAMED[0]),
    stop=_UNNAMED[:1],
    tokens=_UNNAMED,
    sampling=_INTERNLM_SAMPLING,
)

# internlm/internlm-chat-7b, modeling_internlm.py (build_inputs); its first release ended questions with <eoh>
_INTERNLM_SYSTEM = "'<|System|>:' + message['content'] + '\\n'"


def _internlm(end: str) -> ChatFormat:
    template = _roles(
        system=_INTERNLM_SYSTEM,
        user=f"'<|User|>:' + message['content'] + '{end}\\n'",
        assistant="'<|Bot|>:' + message['content'] + '<eoa>\\n'",
        generation="'<|Bot|>:'",
        opening=_BOS,
    )
    tokens = ("<eoa>", *((end,) if end else ()))
    return ChatFormat(template, stop=("<eoa>",), tokens=tokens, sampling=_INTERNLM_SAMPLING)


INTERNLM = _internlm("")
INTERNLM_FIRST = _internlm("<eoh>")

# baichuan-inc/Baichuan-13B-Chat, modeling_baichuan.py (_build_chat_input)
BAICHUAN = ChatFormat(
    _roles(
        system="",
        user=f"'<reserved_102>' + {_QUESTION}",
        assistant="'<reserved_103>' + message['content'] + eos_token",
        generation="'<reserved_103>'",
        opening=_KEEP_SYSTEM,
    ),
    stop=("<reserved_102>",),
    tokens=("<reserved_102>", "<reserved_103>"),
)
# baichuan-inc/Baichuan2-13B-Chat, generation_utils.py (build_chat_input)
BAICHUAN2 = ChatFormat(
    _roles(
        system=_CONTENT,
        user="'<reserved_106>' + message['content']",
        assistant="'<reserved_107>' + message['content']",
        generation="'<reserved_107>'",
    ),
    stop=("<reserved_106>",),
    tokens=("<reserved_106>", "<reserved_107>"),
)

# meta-llama/llama, llama/generation.py (chat_completion): a question is stripped with the system message in front of it
_LLAMA2_QUESTION = (
    "bos_token + '[INST] ' + ((('<<SYS>>\\n' + ns.system + '\\n<</SYS>>\\n\\n' if ns.system else '')"
    " + message['content']){clean}) + ' [/INST]'"
)
_LLAMA2 = """{%- set ns = namespace(system='{default}') -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{%- set ns.system = message['content'] -%}
{%- elif message['role'] == 'user' -%}
{{- {question} -}}
{%- set ns.system = '' -%}
{%- elif message['role'] == 'assistant' -%}
{{- ' ' + (message['content']{clean}) + '{after}' + eos_token -}}
{%- endif -%}
{%- endfor -%}"""


def _llama2(default: str = "", *, clean: str = "", after: str = "") -> str:
    """Return a template; `clean` is a filter for what people and the model write, `after` follows each reply."""
    parts = {"{default}": default, "{after}": after, "{question}": _LLAMA2_QUESTION, "{clean}": clean}
    template = _LLAMA2
    for name, part in parts.items():
        template = template.replace(name, part)
    return template


LLAMA2 = ChatFormat(_llama2(clean=" | trim", after=" "), sampling={"temp": 0.6, "top_p": 0.9})
# ymcui/Chinese-LLaMA-Alpaca-2, scripts/inference/gradio_demo.py (generate_prompt, predict)
CHINESE_ALPACA_2 = ChatFormat(
    _llama2("You are a helpful assistant. 你是一个乐于助人的助手。"),
    sampling={"temp": 0.2, "top_p": 0.9, "top_k": 40, "penalty_repeat": 1.1},
)
# ymcui/Chinese-LLaMA-Alpaca, scripts/inference/inference_hf.py (prompt_input, "taken from llama.cpp"; for several rounds it sends
# people to llama.cpp's instruction mode, which these are)
CHINESE_ALPACA = ChatFormat(
    _roles(
        system="",
        user="'### Instruction:\\n\\n' + message['content'] + '\\n\\n### Response:\\n\\n'",
        assistant="message['content'] + '\\n\\n'",
        generation="",
        opening=(
            "{%- if messages and messages[0]['role'] == 'system' -%}{{- messages[0]['content'] + '\\n\\n' -}}{%- else -%}"
            "{{- 'Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request.\\n\\n' -}}{%- endif -%}"
        ),
    ),
    stop=("### Instruction:",),
    sampling={"temp": 0.2, "top_p": 0.9, "top_k": 40, "penalty_repeat": 1.1},
)
# LlamaFamily/Llama-Chinese (FlagAlpha's), scripts/api/accelerate_server.py (get_prompt_llama2chinese); sampling: README.md;
# Atom-7B-Chat the same: modelscope/ms-swift, its template "atom"
_TRIMMED = f"({_CONTENT} | trim) + '\\n</s>'"
LLAMA2_CHINESE = ChatFormat(
    _roles(
        system=f"'<s>System: ' + {_TRIMMED}",
        user=f"'<s>Human: ' + {_TRIMMED}",
        assistant=f"'<s>Assistant: ' + {_TRIMMED}",
        generation="'<s>Assistant: '",
    ),
    stop=("<s>", "\nHuman:"),
    sampling={"temp": 0.3, "top_p": 0.95, "top_k": 50, "penalty_repeat": 1.3},
)
# meta-llama/llama3, llama/tokenizer.py (ChatFormat)
_LLAMA3_TURN = (
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + (message['content'] | trim) + '<|eot_id|>'"
)
LLAMA3 = ChatFormat(
    _roles(
        system=_LLAMA3_TURN,
        user=_LLAMA3_TURN,
        assistant=_LLAMA3_TURN,
        generation="'<|start_header_id|>assistant<|end_header_id|>\\n\\n'",
        opening=_BOS,
    ),
    stop=("<|eot_id|>",),
    sampling={"temp": 0.6, "top_p": 0.9},
)
# deepseek-ai/DeepSeek-LLM, README.md (the prompt, written out); the system message as in the models' tokenizer_config.json
DEEPSEEK = ChatFormat(
    _roles(
        system="message['content'] + '\\n\\n'",
        user="'User: ' + message['content'] + '\\n\\n'",
        assistant="'Assistant: ' + message['content'] + eos_token",
        generation="'Assistant:'",
        opening=_BOS,
    )
)
# OpenBMB/MiniCPM, demo/minicpm/mlx_based_demo.py (chat_template), the same as in the models' tokenizer_config.json
MINICPM = ChatFormat(
    _roles(
        system="(message['content'] | trim)",
        user="'<用户>' + (message['content'] | trim) + '<AI>'",
        assistant="(message['content'] | trim)",
        generation="",
        opening=_BOS,
    ),
    stop=("<用户>",),
)

_NAMED_IN_LLAMAS_LAYOUT: tuple[tuple[str, ChatFormat], ...] = (
    (r"chinese-alpaca-2", CHINESE_ALPACA_2),
    (r"chinese-alpaca", CHINESE_ALPACA),
    (r"llama2-chinese.*chat|atom-.*chat", LLAMA2_CHINESE),
    (r"llama-?3.*(instruct|chat)", LLAMA3),
    (r"llama-?2.*chat", LLAMA2),
    (r"deepseek-llm.*chat", DEEPSEEK),
    (r"(^|-)yi-.*chat", YI),
)


def llama_chat(config: Config) -> ChatFormat | None:
    """Return the format of a model in LLaMA's layout, which many publishers share: by its name."""
    chats = (chat for pattern, chat in _NAMED_IN_LLAMAS_LAYOUT if _is_named(config, pattern))
    return next(chats, None)


def baichuan_chat(config: Config) -> ChatFormat | None:
    """Return Baichuan's format: only chat models' generation_config.json names the role tokens."""
    if "user_token_id" not in config.generation and not _is_named(config, "chat"):
        return None
    return BAICHUAN2 if config.int("vocab_size") > _FIRST_BAICHUAN_ROWS else BAICHUAN


def qwen_chat(config: Config) -> ChatFormat | None:
    """Return the first Qwen's format: generation_config.json says whether it is for chats."""
    form = config.generation.get("chat_format")
    is_chat = form == "chatml" if isinstance(form, str) else _is_named(config, "chat")
    return QWEN if is_chat else None


def internlm_chat(config: Config) -> ChatFormat | None:
    """Return the first InternLM's format: with <eoh> for the first release, told by the code beside it, else by its name."""
    if not _is_named(config, "chat"):
        return None
    is_first = "<eoh>" in config.code if config.code else not _is_named(config, r"20b|v1[._]1")
    return INTERNLM_FIRST if is_first else INTERNLM


def internlm2_chat(config: Config) -> ChatFormat | None:
    """Return the format of InternLM2's chat models; the code beside tells the first release."""
    if not _is_named(config, "chat"):
        return None
    return INTERNLM2_FIRST if _UNNAMED[1] in config.code else INTERNLM2


def deepseek_chat(config: Config) -> ChatFormat | None:
    """Return the format of DeepSeekMoE's chat models, which is DeepSeek-LLM's."""
    return DEEPSEEK if _is_named(config, "chat") else None


def minicpm_chat(config: Config) -> ChatFormat | None:
    """Return the format of the first MiniCPM's fine-tuned models."""
    return MINICPM if _is_named(config, r"sft|dpo|chat") else None


_FIRST_BAICHUAN_ROWS = 64000


def _is_named(config: Config, pattern: str) -> bool:
    return any(re.search(pattern, name) for name in config.names)
