"""Preparation of a reply in the engine process: prompt, cached prefix, sampler, output filter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from desktop_app.engine import protocol
from desktop_app.engine.event_pipe import EventPipe
from desktop_app.engine.loaded import Loaded
from desktop_app.engine.protocol import Text
from desktop_app.engine.results import Reply

if TYPE_CHECKING:
    from desktop_app.engine.generation import OutputFilter
    from desktop_app.engine.protocol import SamplingSettings
    from desktop_app.engine.runner import RunningSequence
    from desktop_app.engine.scheduler import Running, Scheduler
    from desktop_app.engine.speculation.drafts import Drafts
    from desktop_app.engine.speculation.pace import Pace


class Replying:
    """Makes of requests replies that a `Scheduler` can begin."""

    def __init__(self, loaded: Loaded, events: EventPipe, write_later: Callable[[Callable[[], None]], None]) -> None:
        """Take what is loaded, where text goes, and what keeps something to be written once an answer is out."""
        self._loaded, self._events, self._write_later = loaded, events, write_later

    def prepared(self, number: int, request: protocol.Generate | protocol.Complete) -> Running:
        """Return a reply that has not begun yet; raises ZhiyinError where there can be none."""
        if isinstance(request, protocol.Generate):
            return self._generate(number, request)
        runner = self._loaded.language()
        prompt = runner.tokenize(request.text, add_special=True, special=not runner.info.plain_text)
        return self._run(number, self._sequence_for(prompt), prompt, request.sampling)

    def _generate(self, number: int, request: protocol.Generate) -> Running:
        from desktop_app.engine.generation import OutputFilter
        from desktop_app.engine.prompting import mark_tokens, reply_opening
        from desktop_app.engine.state.chat_states import resume, store
        from models.chat.begun import as_prompt, thinks_still
        from models.chat.chat_formats import ReplyReader, begun_parts

        runner, prompting = self._loaded.language(), self._loaded.prompts()
        asked = request.prompt
        rendered = prompting.render_marked(asked)
        opening = reply_opening(rendered) if runner.info.reasoning else ""
        begun, chat_format = request.begun, prompting.chat_format(asked)
        if begun:
            rendered += as_prompt(begun_parts(chat_format, begun), prompting.plain).removeprefix(opening)
        prompt = prompting.tokens(rendered)
        sequence = self._sequence_for(prompt, shortened=request.shortened)
        file, identity = request.state, self._loaded.identity
        if file is not None:
            resume(sequence, file, identity, prompt)
        reader = ReplyReader(chat_format, prompting.template(asked), request.tools, begun or opening)
        marks = {} if chat_format is None else mark_tokens(runner, chat_format.marks)
        shown = OutputFilter(reader, begun or opening, marks, told=len(begun), begins=not begun)
        settled = None if runner.info.can_trim else prompting.stable_prefix(asked, prompt)
        sampling = self._held_to_grammar(request, reasoning=thinks_still(begun) if begun else bool(opening))

        def with_calls(reply: Reply) -> Reply:
            if file is not None:
                self._write_later(lambda: store(sequence, file, identity))
            calls = [call for call in reader.calls if not (call.fault and reply.reason == "cancelled")]
            return replace(reply, tool_calls=tuple(call.openai(index) for index, call in enumerate(calls)))

        return self._run(number, sequence, prompt, sampling, shown, settled, with_calls)

    def _sequence_for(self, prompt: Sequence[int], *, shortened: bool = False) -> RunningSequence:
        from desktop_app.engine.generation import check_room

        check_room(self._loaded.language(), prompt)
        return cast("Scheduler", self._loaded.scheduler).sequence_for(prompt, shortened=shortened)

    def _held_to_grammar(self, request: protocol.Generate, *, reasoning: bool) -> SamplingSettings:
        """Return how tokens are chosen: held to the schema, or to whole calls where these are JSON without a mark.

        A reply that goes on is past the place where such a call begins.
        """
        from desktop_app.engine.grammar import answer_grammar, call_grammar
        from models.chat.chat_formats import calls_natively

        info, prompting, asked = self._loaded.language().info, self._loaded.prompts(), request.prompt
        if request.sampling.grammar:
            return request.sampling
        if request.schema is not None:
            grammar = answer_grammar(
                request.schema, chat_format=info.chat_format, reasons=info.reasoning, reasoning=reasoning
            )
            return dataclasses.replace(request.sampling, grammar=grammar)
        is_past = reasoning or bool(request.begun.strip())
        if not request.tools or is_past or calls_natively(prompting.chat_format(asked), prompting.template(asked)):
            return request.sampling
        return dataclasses.replace(request.sampling, grammar=call_grammar(request.tools))

    def _run(
        self,
        number: int,
        sequence: RunningSequence,
        prompt: Sequence[int],
        sampling: SamplingSettings,
        shown: OutputFilter | None = None,
        settled: int | None = None,
        on_end: Callable[[Reply], Reply] | None = None,
    ) -> Running:
        from desktop_app.engine.generation import generation
        from desktop_app.engine.logprobs import Logprobs
        from desktop_app.engine.scheduler import Running

        noted = None if sampling.logprobs is None else Logprobs(sequence, sampling.logprobs)
        steps = generation(
            sequence,
            prompt,
            sampling,
            lambda text: self._events.send(number, Text(text, noted.take() if noted else ())),
            shown,
            settled,
            noted.note if noted else None,
            self._drafts(prompt) if sampling.guesses else None,
        )

        def complete(reply: Reply) -> Reply:
            reply = on_end(reply) if on_end is not None else reply
            return replace(reply, logprobs=noted.take()) if noted else reply

        return Running(number, sequence, steps, self._events.progress(number, "prompt"), complete)

    def _drafts(self, prompt: Sequence[int]) -> Drafts | None:
        """Return what guesses a reply's tokens; None where guesses cannot be taken back."""
        from desktop_app.engine.speculation.drafts import Drafts

        most = self._loaded.language().most_guesses
        scheduler = cast("Scheduler", self._loaded.scheduler)
        return (
            Drafts(cast("Pace", self._loaded.pace), prompt, most, lambda: scheduler.is_one, self._loaded.draft)
            if most
            else None
        )
