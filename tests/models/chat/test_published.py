"""The chat formats of models without a template, against what the publishers' own code builds.

Each `expected` function is written from the source that it names and joins texts where that code joins token ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest

from models.chat import published
from models.chat.template import render
from models.config import Config
from models.family import ChatFormat

SYSTEM = "你是知音，一位诗人。"
ROUNDS = [
    ("你好！", "你好，很高兴认识你。"),
    ("Write a poem.\nTwo lines.", "Roses are red,\nviolets are blue."),
    ("谢谢", None),
]
SPACED: list[tuple[str, str | None]] = [("\n 你好 ", " 你好！\n"), ("  two\n\n", "\tthree "), (" 四 \n", None)]
"""Some publishers strip what is written, and others don't."""

Messages = list[dict[str, Any]]
Rounds = list[tuple[str, str | None]]


def conversation(system: str, rounds: Rounds) -> Messages:
    messages = [{"role": "system", "content": system}] if system else []
    for question, answer in rounds:
        messages.append({"role": "user", "content": question})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
    return messages


def qwen(system: str, rounds: Rounds) -> str:
    """Qwen/Qwen-7B-Chat, qwen_generation_utils.py, make_context (chat_format "chatml")."""
    start, end = "<|im_start|>", "<|im_end|>"
    system = system or "You are a helpful assistant."
    context = f"{start}system\n{system}{end}"
    for question, answer in rounds[:-1]:
        context += f"\n{start}user\n{question}{end}\n{start}assistant\n{answer}{end}"
    return context + f"\n{start}user\n{rounds[-1][0]}{end}\n{start}assistant\n"


def yi(system: str, rounds: Rounds) -> str:
    """01-ai/Yi-6B-Chat, tokenizer_config.json: ChatML, a system message only where one is given."""
    prompt = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    for question, answer in rounds:
        prompt += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        prompt += "" if answer is None else f"{answer}<|im_end|>\n"
    return prompt


def internlm2(system: str, rounds: Rounds) -> str:
    """internlm/internlm2-chat-7b, modeling_internlm2.py, build_inputs."""
    return "<s>" + yi(system, rounds)


def internlm2_first(system: str, rounds: Rounds) -> str:
    """The first release of the same, whose code writes [UNUSED_TOKEN_146] and [UNUSED_TOKEN_145]."""
    named = internlm2(system, rounds)
    return named.replace("<|im_start|>", "[UNUSED_TOKEN_146]").replace("<|im_end|>", "[UNUSED_TOKEN_145]")


def internlm(system: str, rounds: Rounds) -> str:
    """internlm/internlm-chat-7b (739d369), modeling_internlm.py, build_inputs."""
    prompt = f"<s><|System|>:{system}\n" if system else "<s>"
    for question, answer in rounds[:-1]:
        prompt += f"<|User|>:{question}\n<|Bot|>:{answer}<eoa>\n"
    return prompt + f"<|User|>:{rounds[-1][0]}\n<|Bot|>:"


def internlm_first(system: str, rounds: Rounds) -> str:
    """The first release of the same; li-plus/chatglm.cpp, chatglm_test.cpp, holds its prompt and ids."""
    prompt = f"<s><|System|>:{system}\n" if system else "<s>"
    for question, answer in rounds[:-1]:
        prompt += f"<|User|>:{question}<eoh>\n<|Bot|>:{answer}<eoa>\n"
    return prompt + f"<|User|>:{rounds[-1][0]}<eoh>\n<|Bot|>:"


def baichuan(system: str, rounds: Rounds) -> str:
    """baichuan-inc/Baichuan-13B-Chat, modeling_baichuan.py, _build_chat_input; it knows no system message: ours goes first."""
    total = ""
    for number, (question, answer) in enumerate(rounds):
        first = f"{system}\n" if system and number == 0 else ""
        total += f"<reserved_102>{first}{question}"
        total += "" if answer is None else f"<reserved_103>{answer}</s>"
    return total + "<reserved_103>"


def baichuan2(system: str, rounds: Rounds) -> str:
    """baichuan-inc/Baichuan2-13B-Chat, generation_utils.py, build_chat_input."""
    history = ""
    for question, answer in rounds:
        history += f"<reserved_106>{question}"
        history += "" if answer is None else f"<reserved_107>{answer}"
    return system + history + "<reserved_107>"


def llama2(system: str, rounds: Rounds) -> str:
    """meta-llama/llama, llama/generation.py, chat_completion."""
    questions = [question for question, _ in rounds]
    if system:
        questions[0] = f"<<SYS>>\n{system}\n<</SYS>>\n\n{questions[0]}"
    prompt = "".join(
        f"<s>[INST] {question.strip()} [/INST] {(answer or '').strip()} </s>"
        for question, (_, answer) in zip(questions[:-1], rounds[:-1], strict=True)
    )
    return f"{prompt}<s>[INST] {questions[-1].strip()} [/INST]"


def chinese_alpaca_2(system: str, rounds: Rounds) -> str:
    """ymcui/Chinese-LLaMA-Alpaca-2, scripts/inference/gradio_demo.py, generate_prompt and predict; the tokenizer adds <s>."""
    system = system or "You are a helpful assistant. 你是一个乐于助人的助手。"
    prompt = f"<s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{rounds[0][0]} [/INST]"
    for number, (_, answer) in enumerate(rounds[:-1]):
        prompt += f" {answer}</s><s>[INST] {rounds[number + 1][0]} [/INST]"
    return prompt


def chinese_alpaca(system: str, rounds: Rounds) -> str:
    """ymcui/Chinese-LLaMA-Alpaca, scripts/inference/inference_hf.py, prompt_input; rounds: llama.cpp, as it says itself."""
    system = system or (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    )
    prompt = system
    for question, answer in rounds:
        prompt += f"\n\n### Instruction:\n\n{question}\n\n### Response:\n\n{answer or ''}"
    return prompt


def llama2_chinese(system: str, rounds: Rounds) -> str:
    """LlamaFamily/Llama-Chinese, scripts/api/accelerate_server.py, get_prompt_llama2chinese.

    data/dev_sft_sharegpt.csv beside it holds chats of several rounds in the same form.
    """
    prompt = f"<s>System: {system.strip()}\n</s>" if system else ""
    for question, answer in rounds:
        prompt += f"<s>Human: {question.strip()}\n</s><s>Assistant: "
        prompt += "" if answer is None else f"{answer.strip()}\n</s>"
    return prompt


def llama3(system: str, rounds: Rounds) -> str:
    """meta-llama/llama3, llama/tokenizer.py, ChatFormat.encode_dialog_prompt."""
    prompt = "<s>"
    for message in conversation(system, rounds):
        prompt += f"<|start_header_id|>{message['role']}<|end_header_id|>\n\n{message['content'].strip()}<|eot_id|>"
    return prompt + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def deepseek(system: str, rounds: Rounds) -> str:
    """deepseek-ai/DeepSeek-LLM, README.md, where the prompt is written out; the system message: tokenizer_config.json."""
    prompt = f"<s>{system}\n\n" if system else "<s>"
    for question, answer in rounds[:-1]:
        prompt += f"User: {question}\n\nAssistant: {answer}</s>"
    return prompt + f"User: {rounds[-1][0]}\n\nAssistant:"


def minicpm(system: str, rounds: Rounds) -> str:
    """OpenBMB/MiniCPM, demo/minicpm/mlx_based_demo.py, chat_template; the tokenizer adds <s>."""
    turns = (f"<用户>{question.strip()}<AI>{(answer or '').strip()}" for question, answer in rounds)
    return "<s>" + system.strip() + "".join(turns)


FORMATS: dict[str, tuple[ChatFormat, Callable[[str, Rounds], str]]] = {
    "qwen": (published.QWEN, qwen),
    "yi": (published.YI, yi),
    "internlm2": (published.INTERNLM2, internlm2),
    "internlm2_first": (published.INTERNLM2_FIRST, internlm2_first),
    "internlm": (published.INTERNLM, internlm),
    "internlm_first": (published.INTERNLM_FIRST, internlm_first),
    "baichuan": (published.BAICHUAN, baichuan),
    "baichuan2": (published.BAICHUAN2, baichuan2),
    "llama2": (published.LLAMA2, llama2),
    "chinese_alpaca_2": (published.CHINESE_ALPACA_2, chinese_alpaca_2),
    "chinese_alpaca": (published.CHINESE_ALPACA, chinese_alpaca),
    "llama2_chinese": (published.LLAMA2_CHINESE, llama2_chinese),
    "llama3": (published.LLAMA3, llama3),
    "deepseek": (published.DEEPSEEK, deepseek),
    "minicpm": (published.MINICPM, minicpm),
}


@pytest.mark.parametrize("system", [SYSTEM, ""], ids=["system", "no system"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_prompts_are_the_publishers(name: str, count: int, system: str) -> None:
    chat, expected = FORMATS[name]
    rounds: Rounds = ROUNDS[-count:]
    prompt = render(chat.template, conversation(system, rounds), bos="<s>", eos="</s>")
    assert prompt == expected(system, rounds)


@pytest.mark.parametrize("system", [" \n你是诗人。 \n", ""], ids=["system", "no system"])
@pytest.mark.parametrize("name", FORMATS)
def test_blanks_around_messages_are_kept_where_the_publishers_keep_them(name: str, system: str) -> None:
    chat, expected = FORMATS[name]
    prompt = render(chat.template, conversation(system, SPACED), bos="<s>", eos="</s>")
    assert prompt == expected(system, SPACED)


@pytest.mark.parametrize("name", FORMATS)
def test_odd_chats_render_too(name: str) -> None:
    template = FORMATS[name][0].template
    for messages in ([], [{"role": "system", "content": "x"}], [{"role": "assistant", "content": "y"}]):
        render(template, messages, bos="<s>", eos="</s>")
    repeated = conversation(SYSTEM, [("再说一次", "好"), ("再说一次", None)])
    assert render(template, repeated, bos="<s>", eos="</s>").count(SYSTEM) == 1


DETECTED = {"qwen", "yi", "internlm2", "llama2", "chinese_alpaca_2", "llama3", "deepseek", "minicpm"}
"""Formats that llama.cpp's programs know by heart where they don't run Jinja."""


@pytest.mark.parametrize("name", FORMATS)
def test_llama_cpp_never_takes_a_format_for_another(name: str) -> None:
    """`llama_chat_apply_template` guesses from the template's text; a wrong guess is worse than none."""
    chat, expected = FORMATS[name]
    prompt = applied(chat.template, conversation(SYSTEM, ROUNDS))
    if name in DETECTED:
        assert prompt is not None
        assert squeezed(prompt) == squeezed(expected(SYSTEM, ROUNDS))
    else:
        assert prompt is None


def squeezed(prompt: str) -> str:
    """Leave out what llama.cpp leaves to the tokenizer, and its own mind about spaces."""
    return "".join(prompt.replace("<s>", "").replace("</s>", "").replace("<｜end▁of▁sentence｜>", "").split())


def applied(template: str, messages: Messages) -> str | None:
    texts = [(message["role"].encode(), message["content"].encode()) for message in messages]
    chat = (llama.llama_chat_message * len(texts))(*(llama.llama_chat_message(*pair) for pair in texts))
    buffer = bytes(20000)
    size = llama.llama_chat_apply_template(template.encode(), chat, len(texts), True, buffer, len(buffer))
    return None if size < 0 else buffer[:size].decode()


def named(name: str, data: dict[str, Any] | None = None, **beside: Any) -> Config:
    return Config(data or {}, folder=name, **beside)


@pytest.mark.parametrize(
    ("name", "chat"),
    [
        ("Llama-2-7b-chat-hf", published.LLAMA2),
        ("Llama-2-7b-hf", None),
        ("Meta-Llama-3-8B-Instruct", published.LLAMA3),
        ("Meta-Llama-3-8B", None),
        ("llama-3-chinese-8b-instruct", published.LLAMA3),
        ("llama-3-chinese-8b", None),
        ("chinese-alpaca-2-7b-64k", published.CHINESE_ALPACA_2),
        ("chinese-llama-2-7b", None),
        ("chinese-alpaca-plus-7b", published.CHINESE_ALPACA),
        ("chinese-llama-plus-7b", None),
        ("Llama2-Chinese-13b-Chat", published.LLAMA2_CHINESE),
        ("Atom-7B-Chat", published.LLAMA2_CHINESE),
        ("Atom-7B", None),
        ("deepseek-llm-7b-chat", published.DEEPSEEK),
        ("deepseek-llm-7b-base", None),
        ("Yi-6B-Chat", published.YI),
        ("Yi-6B", None),
        ("my-model", None),
    ],
)
def test_a_name_tells_chat_models_from_base_models(name: str, chat: ChatFormat | None) -> None:
    assert published.llama_chat(named(name)) is chat
    assert published.llama_chat(Config({"_name_or_path": f"someone/{name}/"}, folder="downloaded")) is chat


def test_files_tell_chat_models_from_base_models() -> None:
    first, second = {"vocab_size": 64000}, {"vocab_size": 125696}
    roles = {"user_token_id": 195, "assistant_token_id": 196}
    assert published.baichuan_chat(named("x", first, generation=roles)) is published.BAICHUAN
    assert published.baichuan_chat(named("x", second, generation=roles)) is published.BAICHUAN2
    assert published.baichuan_chat(named("Baichuan2-7B-Base", second)) is None
    assert published.qwen_chat(named("x", generation={"chat_format": "chatml"})) is published.QWEN
    assert published.qwen_chat(named("Qwen-7B-Chat", generation={"chat_format": "raw"})) is None
    assert published.qwen_chat(named("Qwen-7B")) is None
    assert published.internlm_chat(named("internlm-chat-7b")) is published.INTERNLM_FIRST
    assert published.internlm_chat(named("internlm-chat-7b", code="'<eoh>'")) is published.INTERNLM_FIRST
    assert published.internlm_chat(named("internlm-chat-20b", code="def build_inputs")) is published.INTERNLM
    assert published.internlm_chat(named("internlm-chat-20b")) is published.INTERNLM
    assert published.internlm_chat(named("internlm-chat-7b-v1_1")) is published.INTERNLM
    assert published.internlm_chat(named("internlm-7b")) is None
    assert published.internlm2_chat(named("internlm2-chat-7b")) is published.INTERNLM2
    first_release = named("internlm2-chat-7b", code="f'[UNUSED_TOKEN_146]user\\n{query}'")
    assert published.internlm2_chat(first_release) is published.INTERNLM2_FIRST
    assert published.internlm2_chat(named("internlm2-7b")) is None
    assert published.minicpm_chat(named("MiniCPM-2B-sft-bf16")) is published.MINICPM
    assert published.minicpm_chat(named("MiniCPM-2B-history")) is None
