"""Prompt formats of ChatGLM-6B, ChatGLM2, ChatGLM3 and GLM-4.

Sources: THUDM/chatglm-6b, chatglm2-6b (modeling_chatglm.py, `build_prompt` and `chat`), chatglm3-6b (tokenization_chatglm.py,
`build_chat_input`) and glm-4-9b-chat (tokenizer_config.json). What a template cannot say is in `models.chat.chat_formats`.
"""

from __future__ import annotations

from models.config import Config
from models.family import ChatFormat

_ROUNDS = r"""{%- set ns = namespace(round={first}, system='') -%}
{%- if messages | length == 1 and messages[0].role == 'user' and {bare} -%}
{{- messages[0].content -}}
{%- else -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = message.content + '{gap}' -%}
{%- elif message.role == 'user' -%}
{{- '[Round ' ~ ns.round ~ ']{gap}问：' + ns.system + message.content + '{gap}答：' -}}
{%- set ns.round = ns.round + 1 -%}
{%- set ns.system = '' -%}
{%- elif message.role == 'assistant' -%}
{{- message.content -}}
{%- if not loop.last -%}{{- '{gap}' -}}{%- endif -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}"""

_FUNCTIONS = r"""{%- set ns = namespace(functions=[]) -%}
{%- for tool in tools or [] -%}
{%- set ns.functions = ns.functions + [tool.function if tool.function is defined else tool] -%}
{%- endfor -%}
"""

_CHATGLM3 = (
    _FUNCTIONS
    + r"""{%- macro turn(role, metadata, content) -%}
{{- '<|' + role + '|>' + metadata + '\n' -}}
{%- if content -%}{{- ' ' + content -}}{%- endif -%}
{%- endmacro -%}
{{- '[gMASK]<sop>' -}}
{%- if ns.functions and (not messages or messages[0].role != 'system') -%}
{%- set opening = 'Answer the following questions as best as you can. You have access to the following tools:\n' -%}
{{- turn('system', '', opening ~ (ns.functions | tojson(indent=4))) -}}
{%- endif -%}
{%- for message in messages -%}
{%- set content = message.content or '' -%}
{%- if loop.first and message.role == 'system' and ns.functions -%}
{%- set content = content + '\n' ~ (ns.functions | tojson(indent=4)) -%}
{%- endif -%}
{{- turn('observation' if message.role == 'tool' else message.role, message.metadata or '', content) -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"""
)

_GLM4 = (
    _FUNCTIONS
    + r"""{{- '[gMASK]<sop>' -}}
{%- if ns.functions -%}
{{- '<|system|>\n你是一个名为 ChatGLM 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，' -}}
{{- '你的任务是针对用户的问题和要求提供适当的答复和支持。\n\n# 可用工具' -}}
{%- for function in ns.functions -%}
{{- '\n\n## ' ~ function.name ~ '\n\n' ~ (function | tojson(indent=4)) -}}
{{- '\n在调用上述函数时，请使用 Json 格式表示调用的参数。' -}}
{%- endfor -%}
{%- endif -%}
{%- for message in messages -%}
{%- if message.content -%}
{%- set role = 'observation' if message.role == 'tool' else message.role -%}
{{- '<|' + role + '|>' + (message.metadata or '') + '\n' + message.content -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"""
)


def _rounds(first: int, gap: str, bare: str) -> str:
    return _ROUNDS.replace("{first}", str(first)).replace("{gap}", gap).replace("{bare}", bare)


_SAMPLING = {"temp": 0.8, "top_p": 0.8, "top_k": 0, "min_p": 0.0, "penalty_repeat": 1.0}
CHATGLM1 = ChatFormat(
    _rounds(0, r"\n", "true"), sampling={**_SAMPLING, "temp": 0.95, "top_p": 0.7}, chat_format="chatglm1"
)
CHATGLM2 = ChatFormat(_rounds(1, r"\n\n", "false"), sampling=_SAMPLING, chat_format="chatglm2")
CHATGLM3 = ChatFormat(_CHATGLM3, sampling=_SAMPLING, chat_format="chatglm3")
GLM4 = ChatFormat(_GLM4, sampling=_SAMPLING, chat_format="glm4")

_GLM4_ROWS = 100_000
"""Between the embeddings of ChatGLM3 (65,024 rows) and GLM-4 (151,552)."""


def chatglm_chat(config: Config) -> ChatFormat | None:
    """Return the format of a checkpoint in the layout that ChatGLM2, ChatGLM3 and GLM-4 share; base models have none."""
    if is_base(config):
        return None
    if config.int("padded_vocab_size", "vocab_size", default=0) > _GLM4_ROWS:
        return GLM4
    return CHATGLM3 if is_third(config) else CHATGLM2


def is_third(config: Config) -> bool:
    """Tell whether the name is ChatGLM3's, whose configuration differs from ChatGLM2's in nothing else."""
    return "chatglm3" in _name(config)


def is_base(config: Config) -> bool:
    """Tell whether the name is a base model's, which goes on with texts."""
    name = _name(config)
    return name.endswith("-base") or "-base-" in name or name in ("thudm/glm-4-9b", "thudm/glm-4-9b-hf")


def _name(config: Config) -> str:
    return config.str("_name_or_path", default="").lower().rstrip("/")
