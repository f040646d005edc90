"""A recurrent model goes on with a chat without reading it again, also after a restart, and never with another chat's state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop_app.chat.conversation import Conversation
from desktop_app.chat.history import History
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse, Generate, Load, LoadSettings, SamplingSettings, Stats
from desktop_app.engine.results import Reply
from desktop_app.engine.state import chat_states
from desktop_app.engine.state.chat_states import model_identity
from desktop_app.engine.state.files import read_state_file, write_state_file
from desktop_app.engine.state.snapshots import Snapshots
from desktop_app.paths import chat_state_file, database_file
from desktop_app.planning.footprint import RunShape, footprint
from tests.support.rwkv_world import CLASSES, world_model

GREEDY = SamplingSettings(temperature=0, max_tokens=9)
REMEMBERED = "今天天气怎么样？"


@pytest.fixture(scope="module", params=CLASSES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_model(tmp_path_factory.mktemp("world"), request.param)


@pytest.fixture
def state(data_home: Path) -> Path:
    return chat_state_file("chat")


def opened(model: Path) -> Engine:
    engine = Engine()
    engine.submit(Load(model, LoadSettings(context=0, threads=1))).result(60)
    return engine


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[Engine]:
    with opened(model) as running:
        yield running


class Chat:
    """A conversation with the engine."""

    def __init__(self, state: Path | None) -> None:
        self.messages: list[dict[str, Any]] = []
        self._state = state

    def ask(self, engine: Engine, text: str) -> Reply:
        self.messages.append({"role": "user", "content": text})
        return self.again(engine)

    def again(self, engine: Engine) -> Reply:
        if self.messages[-1]["role"] == "assistant":
            self.messages.pop()
        reply = engine.submit(Generate(tuple(self.messages), GREEDY, state=self._state)).result(60)
        self.messages.append({"role": "assistant", "content": reply.text})
        return reply


def whole(reply: Reply) -> int:
    return int(reply.prompt_tokens + reply.tokens)


def test_each_turn_uses_all_turns_before_it(model: Path) -> None:
    chat = Chat(None)
    with opened(model) as engine:
        first = chat.ask(engine, REMEMBERED)
        second = chat.ask(engine, "明天呢？")
        third = chat.ask(engine, "谢谢")
    assert (first.reused_tokens, second.reused_tokens, third.reused_tokens) == (0, whole(first), whole(second))


def test_another_answer_and_another_question_begin_where_they_differ(engine: Engine) -> None:
    chat = Chat(None)
    first = chat.ask(engine, REMEMBERED)
    second = chat.ask(engine, "明天呢？")
    again = chat.again(engine)
    assert again.reused_tokens == second.prompt_tokens - 1
    assert again.text == second.text
    del chat.messages[-2:]
    other = chat.ask(engine, "后天呢？")
    assert other.reused_tokens == whole(first)


def test_a_chat_goes_on_after_a_restart(model: Path, state: Path) -> None:
    def third_reply(file: Path | None, *, restart: bool) -> tuple[Reply, int]:
        chat, engine = Chat(file), opened(model)
        chat.ask(engine, REMEMBERED * 9)
        second = chat.ask(engine, "明天呢？")
        if restart:
            engine.close()
            engine = opened(model)
        reply = chat.ask(engine, "谢谢")
        engine.close()
        return reply, whole(second)

    (expected, _), (unaided, _) = third_reply(None, restart=False), third_reply(None, restart=True)
    assert unaided.reused_tokens == 0
    found, before = third_reply(state, restart=True)
    assert found.reused_tokens == before
    assert found.text == expected.text == unaided.text


def test_after_a_restart_the_last_turn_can_be_changed(model: Path, state: Path) -> None:
    chat = Chat(state)
    with opened(model) as engine:
        first = chat.ask(engine, REMEMBERED)
        second = chat.ask(engine, "明天呢？")
    with opened(model) as engine:
        again = chat.again(engine)
    assert (again.reused_tokens, again.text) == (whole(first), second.text)
    with opened(model) as engine:
        del chat.messages[-2:]
        assert chat.ask(engine, "后天呢？").reused_tokens == whole(first)


def test_after_a_restart_a_long_question_is_not_read_again_for_another_answer(model: Path, state: Path) -> None:
    chat = Chat(state)
    with opened(model) as engine:
        chat.ask(engine, REMEMBERED)
        second = chat.ask(engine, REMEMBERED * 250)
    with opened(model) as engine:
        assert chat.again(engine).reused_tokens == second.prompt_tokens - 1


def test_a_set_context_limits_nothing(model: Path) -> None:
    chat = Chat(None)
    with Engine() as engine:
        info = engine.submit(Load(model, LoadSettings(context=64, threads=1))).result(60)
        chat.ask(engine, REMEMBERED)
        reply = chat.ask(engine, REMEMBERED * 60)
    assert info.context == 0
    assert reply.prompt_tokens > 300
    assert (reply.reason, reply.tokens) == ("length", 9)


def test_two_chats_take_turns(engine: Engine, state: Path) -> None:
    one, other = Chat(state), Chat(chat_state_file("other"))
    first = one.ask(engine, REMEMBERED)
    other.ask(engine, "你好")
    assert one.ask(engine, "明天呢？").reused_tokens == whole(first)


@pytest.mark.parametrize("damage", ["cut", "text", "bits", "empty", "another model's", "other tokens"])
def test_a_state_that_is_not_this_models_is_ignored(model: Path, engine: Engine, state: Path, damage: str) -> None:
    chat, other = Chat(state), Chat(None)
    first = chat.ask(engine, REMEMBERED)
    expected = chat.ask(engine, "明天呢？")
    engine.submit(Stats()).result(60)
    data = bytearray(state.read_bytes())
    identity = model_identity(model, ())
    found = read_state_file(state, identity)
    assert found is not None
    tokens, arrays = found
    if damage == "another model's":
        write_state_file(state, "0" * 32, tokens, arrays)
    elif damage == "other tokens":
        write_state_file(state, identity, [token + 1 for token in tokens], arrays)
    elif damage == "bits":
        data[len(data) // 2] ^= 255
        state.write_bytes(data)
    else:
        state.write_bytes({"cut": data[: len(data) // 2], "text": b"no state", "empty": b""}[damage])
    other.ask(engine, "你好")  # takes the place of what the engine has in memory
    again = chat.again(engine)
    assert again.reused_tokens < first.prompt_tokens
    assert again.text == expected.text


def test_models_are_told_apart(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.gguf"
    copy.write_bytes(model.read_bytes())  # written at another time: it may be another fine-tune
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"weights")
    uses: list[tuple[AdapterUse, ...]] = [(), (AdapterUse(adapter),), (AdapterUse(adapter, 0.5),)]
    names = [model_identity(path, adapters) for path in (model, copy) for adapters in uses]
    assert len({*names}) == len(names)
    assert model_identity(model, ()) == names[0]
    assert model_identity(model, (AdapterUse(tmp_path / "gone.gguf"),)) == ""


def test_a_state_does_not_grow_and_leaves_nothing_beside_it(engine: Engine, state: Path) -> None:
    chat = Chat(state)
    sizes = []
    for words in (1, 1, 40):
        reply = chat.ask(engine, REMEMBERED * words)
        engine.submit(Stats()).result(60)
        sizes.append(state.stat().st_size - 4 * whole(reply))  # four bytes for each token, to know the text again
    assert abs(sizes[2] - sizes[1]) < 100
    assert [file.name for file in state.parent.iterdir()] == ["chat.npz"]


def test_a_folder_that_cannot_be_written_costs_only_time(engine: Engine, state: Path) -> None:
    state.parent.write_text("a file where the folder should be", "utf-8")
    chat = Chat(state)
    chat.ask(engine, REMEMBERED)
    assert chat.ask(engine, "明天呢？").reason == "length"


def test_thinking_that_the_next_turn_leaves_out_is_all_that_is_read_again(tmp_path: Path) -> None:
    model = world_model(tmp_path, "7", "rwkv7-g1")  # its prompts end in <think
    chat = Chat(None)
    with opened(model) as engine:
        first = chat.ask(engine, REMEMBERED * 5)
        chat.messages[-1]["content"] += "</think>晴"
        second = chat.ask(engine, "明天呢？")
    assert first.prompt_tokens - 4 <= second.reused_tokens < first.prompt_tokens


def test_the_oldest_states_make_room(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.npz").write_bytes(bytes(1000))
    chat_states._shrink(tmp_path, 3500)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(("layers", "width", "kept"), [(24, 2048, 7), (32, 4096, 2), (61, 4096, 2)])
def test_no_more_snapshots_are_kept_than_the_memory_plan_counts(layers: int, width: int, kept: int) -> None:
    sizes = {"block_count": layers, "embedding_length": width, "wkv.head_size": 64}
    foot = footprint("rwkv7", sizes, (), RunShape(0))
    state = bytes(sum(foot.cache))
    snapshots = Snapshots()
    for count in range(1, 20):
        snapshots.take(count, state)
    assert [count for count, _ in snapshots.taken] == list(range(20 - kept, 20))
    assert foot.snapshots == (kept + 1) * len(state)  # and the one being taken
    assert foot.total >= foot.snapshots + len(state)


def test_a_deleted_chats_state_is_removed_with_it(state: Path) -> None:
    kept, deleted = Conversation("kept"), Conversation("deleted")
    history = History(database_file())
    for conversation in (kept, deleted):
        history.save_conversation(conversation)
    state.parent.mkdir()
    for name in ("kept", "deleted", "never-saved"):
        chat_state_file(name).write_bytes(b"state")
        folder = chat_state_file(name).with_suffix("")
        folder.mkdir()
        (folder / "block.kv").write_bytes(b"state")
    history.delete("deleted")
    history.close()
    history = History(database_file())
    assert chat_state_file("deleted").exists()  # it can still be restored from the trash, and is not read again then
    assert (chat_state_file("deleted").with_suffix("") / "block.kv").exists()
    history.forget(["deleted"])
    history.close()
    assert sorted(file.name for file in state.parent.iterdir()) == ["kept", "kept.npz"]
