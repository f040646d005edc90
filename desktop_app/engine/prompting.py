"""Messages to prompt tokens, with the model's own template.

Only the template writes control tokens: where a message or a tool holds the text of one, that text stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from desktop_app.engine.protocol import Prompt
from desktop_app.sequences import common_prefix
from models.chat.chat_formats import CHAT_FORMATS, ChatFormat, name_of, prepared, tell_of_tools
from models.chat.efforts import EFFORTS
from models.chat.template_facts import TemplateLimit
from models.errors import ZhiyinError
from models.vocab.longest import LongestOf
from models.vocab.sections import CUT

if TYPE_CHECKING:
    from desktop_app.engine.runner import Runner
    from desktop_app.processes.renderer import Renderer

_NOT_TEXT = ("role", "type")
_THINKING = ("enable_thinking", "thinking")
"""What templates call the choice: Qwen, GLM and most others; DeepSeek and Granite."""
_EFFORT = "reasoning_effort"
"""What gpt-oss's template calls how long to think."""
_XML_TOOLS = "xml_tools"
"""What SmolLM3's template calls the tools."""
_OPENED = re.compile(r"(<think>?)\s*\Z")
"""How the prompts of models that think end; RWKV-7 G1's leave the mark's last sign to the model."""
_ANY = "知音"
"""A message that merges with nothing around it."""
_ASKED = Prompt(({"role": "user", "content": _ANY},))


class Prompting:
    """The prompts of a loaded model's chats."""

    def __init__(self, runner: Runner, renderer: Renderer) -> None:
        """Take the model, and what renders its template."""
        self._runner = runner
        self._renderer = renderer
        self._control: LongestOf | None = None
        self._fault: TemplateLimit | None = None
        """What the template did to the shortest chat: it is not tried again."""

    def template(self, asked: Prompt) -> str | None:
        """Return the template of a chat: some models have one of their own for chats with tools."""
        runner = self._runner
        return (runner.tool_template if asked.tools else None) or runner.chat_template

    def chat_format(self, asked: Prompt) -> ChatFormat | None:
        """Return what a chat needs beyond its template."""
        return CHAT_FORMATS.get(self._runner.info.chat_format or name_of({}, self.template(asked)))

    def render(self, asked: Prompt) -> str:
        """Return the prompt that asks for the next reply; a model without a template just continues the text.

        Raises:
            ZhiyinError: there are tools, and no template; or it fails, or takes too much time or memory.
        """
        runner = self._runner
        template = self.template(asked)
        if template is None and asked.tools:
            raise ZhiyinError(
                "{name} only goes on with texts and knows no chat, so that it can use no tools; ask without tools, or choose "
                "a model that was trained to chat.",
                name=runner.info.name,
            )
        if template is None:
            return "\n\n".join(str(message.get("content", "")) for message in asked.messages)
        if self._fault is not None:
            raise self._fault
        choices: dict[str, Any] = {} if asked.thinking is None else dict.fromkeys(_THINKING, asked.thinking)
        chat_format = self.chat_format(asked)
        messages, tools = tell_of_tools(asked.messages, asked.tools, chat_format, template)
        if tools and _XML_TOOLS in template:
            choices[_XML_TOOLS] = list(tools)
        return self._renderer.render(
            template,
            prepared(messages, chat_format, template),
            path=runner.info.path,
            tools=list(tools) or None,
            bos=runner.vocabulary.bos_text,
            eos=runner.vocabulary.eos_text,
            **(choices | ({_EFFORT: asked.effort} if asked.effort else {})),
        )

    def render_marked(self, asked: Prompt) -> str:
        """Return the prompt with a mark inside every control token's text that a message or a tool holds."""
        messages, tools = (tuple(_apart(part, self._control_texts())) for part in (asked.messages, asked.tools))
        return self.render(replace(asked, messages=messages, tools=tools))

    def plain(self, text: str) -> str:
        """Return a text with a mark inside every control token's text that it holds."""
        return str(_apart(text, self._control_texts()))

    def tokens(self, prompt: str) -> list[int]:
        """Return the tokens of a marked prompt; the beginning-of-sequence token comes once, whoever writes it."""
        bos = self._runner.vocabulary.bos_text
        return self._runner.tokenize(prompt, add_special=not (bos and prompt.startswith(bos)), special=True)

    def stable_prefix(self, asked: Prompt, prompt: Sequence[int]) -> int:
        """Return with how many of its tokens the next turn's prompt begins, whatever the reply is.

        Templates that leave earlier reasoning out write the reply's beginning otherwise once the reply is there.

        Args:
            asked: the chat.
            prompt: the tokens of its prompt.
        """
        turns = ({"role": "assistant", "content": _ANY}, {"role": "user", "content": _ANY})
        try:
            following = self.render_marked(replace(asked, messages=(*asked.messages, *turns)))
        except ZhiyinError:  # a template that takes no such turns: then there is no next one
            return len(prompt)
        return common_prefix(self.tokens(following), prompt)

    def thinks_by_itself(self) -> bool | None:
        """Return whether replies begin with reasoning where nobody asks for it; None: the template leaves no choice.

        Where the prompt as it is asks neither for a thought nor for none, the model decides: that counts as thinking.
        """
        prompts = self._each(replace(_ASKED, thinking=wish) for wish in (None, True, False))
        if not prompts:
            return None
        as_it_is, on, off = prompts
        return None if on == off else as_it_is != off

    def takes_system(self) -> bool:
        """Tell whether a system message has a place of its own; without one it is put in front of the first question."""
        system, question = ({"role": role, "content": f"{_ANY}{role}"} for role in ("system", "user"))
        merged = {"role": "user", "content": f"{system['content']}\n\n{question['content']}"}
        prompts = self._each((Prompt((system, question)), Prompt((merged,))))
        return self._runner.chat_template is None or not prompts or prompts[0] != prompts[1]

    def effort_by_itself(self) -> str:
        """Return how long replies think where nobody asks for it; "": the template leaves no choice among the efforts."""
        if _EFFORT not in (self._runner.chat_template or ""):
            return ""
        as_it_is, *each = self._each(replace(_ASKED, effort=effort) for effort in ("", *EFFORTS)) or [""]
        return EFFORTS[each.index(as_it_is)] if as_it_is in each and len(set(each)) == len(each) else ""

    def _each(self, chats: Iterable[Prompt]) -> list[str]:
        """Return the prompts of the shortest chats; none where the template fails, which a chat will say."""
        try:
            return [self.render(asked) for asked in chats]
        except TemplateLimit as error:
            self._fault = error
        except ZhiyinError:
            pass
        return []

    def _control_texts(self) -> LongestOf:
        if self._control is None:
            self._control = LongestOf(text for text in self._runner.vocabulary.control_texts() if len(text) > 1)
        return self._control


def reply_opening(prompt: str) -> str:
    """Return the mark of a thought's beginning where a prompt ends in it: the model goes on inside the thought."""
    match = _OPENED.search(prompt)
    return match[1] if match else ""


def mark_tokens(runner: Runner, marks: Mapping[str, str]) -> dict[int, bytes]:
    """Return the control tokens of these texts in a model's vocabulary, each with what stands for it in a reply."""
    known = set(runner.vocabulary.control_texts()) if marks else set()
    tokens = {text: runner.tokenize(text, add_special=False, special=True) for text in marks if text in known}
    return {ids[0]: marks[text].encode() for text, ids in tokens.items() if len(ids) == 1}


def _apart(value: Any, control: LongestOf) -> Any:
    """Return messages or tools with a mark inside every text of a control token."""
    if isinstance(value, str):
        parts, start = [], 0
        for at, _ in control.found_in(value):
            parts.append(value[start : at + 1])
            start = at + 1
        return CUT.join((*parts, value[start:]))
    if isinstance(value, Mapping):
        return {key: item if key in _NOT_TEXT else _apart(item, control) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_apart(item, control) for item in value]
    return value
