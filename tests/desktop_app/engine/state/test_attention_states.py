"""A chat with a model of attention goes on after a restart with the very keys and values that it had, and with no others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from desktop_app.engine.llama.runner import LlamaRunner
from desktop_app.engine.llama.sequence import LlamaSequence
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import Part
from desktop_app.engine.scheduler import Scheduler
from desktop_app.engine.state import blocks, chat_states
from desktop_app.engine.state.cells import Layout, cells_of, layout_from
from desktop_app.engine.state.chat_states import model_identity, resume, store
from desktop_app.sequences import common_prefix
from tests.support.agreement import converted, random_ids
from tests.support.random_latent import random_deepseek
from tests.support.random_llama import Checkpoint, random_llama
from tests.support.random_relatives import random_gemma2, random_qwen35

IDS = random_ids({"vocab_size": 96}, 700)
MADE: dict[str, Callable[[], Checkpoint]] = {
    "llama": partial(random_llama, max_position_embeddings=1024, head_dim=32),
    "latent": random_deepseek,
    "windows": random_gemma2,
    "hybrid": random_qwen35,
    "shallow": partial(random_llama, max_position_embeddings=1024, num_hidden_layers=1),
}
Open = Callable[..., LlamaRunner]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: converted(tmp_path_factory.mktemp(name), *make()).path for name, make in MADE.items()}


@pytest.fixture
def opened(files: dict[str, Path]) -> Iterator[Open]:
    runners = []

    def open_(name: str = "llama", **settings: Any) -> LlamaRunner:
        wanted = LoadSettings(**{"context": 1024, "threads": 1, "batch": 64, **settings})
        runners.append(LlamaRunner(read_gguf_header(files[name], arrays=False), wanted, lambda part: None))
        return runners[-1]

    yield open_
    for runner in runners:
        runner.close()


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return tmp_path / "states" / "chat.npz"


def identity(runner: LlamaRunner) -> str:
    return model_identity(runner.info.path, (), runner.memory_kind)


def keep(runner: LlamaRunner, chat: Path, sequence: int = 0) -> None:
    store(runner.sequences[sequence], chat, identity(runner))


def restore(runner: LlamaRunner, chat: Path, prompt: list[int], sequence: int = 0) -> int:
    """Return how many tokens of a prompt need not be read."""
    taken: LlamaSequence = runner.sequences[sequence]
    resume(taken, chat, identity(runner), prompt)
    return taken.truncate(common_prefix(taken.ids, prompt))


def read(runner: LlamaRunner, ids: list[int], sequence: int = 0) -> np.ndarray:
    """Return the logits after more tokens."""
    taken = runner.sequences[sequence]
    for at in range(0, len(ids), 64):
        runner.decode_together([Part(taken, ids[at : at + 64])])
    return taken.logits().copy()


def kv_files(chat: Path) -> list[Path]:
    return sorted(chat.parent.rglob("*.kv"))


@pytest.mark.parametrize(("name", "kv_type"), [*((name, "f16") for name in MADE), ("llama", "q8_0"), ("llama", "f32")])
def test_a_chat_goes_on_after_a_restart_bit_for_bit(name: str, kv_type: str, opened: Open, chat: Path) -> None:
    runner = opened(name, kv_type=kv_type)
    read(runner, IDS[:300])
    keep(runner, chat)
    expected = [read(runner, [token]) for token in IDS[300:310]]
    other = opened(name, kv_type=kv_type)
    assert restore(other, chat, IDS[:310]) == 300
    assert all(np.array_equal(read(other, [token]), logits) for token, logits in zip(IDS[300:], expected, strict=False))


@pytest.mark.parametrize("name", ["llama", "latent"])
def test_a_chat_goes_on_where_it_changed(name: str, opened: Open, chat: Path) -> None:
    runner = opened(name)
    read(runner, IDS[:400])
    keep(runner, chat)
    runner.truncate(290)
    expected = read(runner, IDS[500:510])
    other = opened(name)
    assert restore(other, chat, IDS[:290] + IDS[500:510]) == 290
    assert np.array_equal(read(other, IDS[500:510]), expected)


def test_windows_are_taken_up_where_nothing_was_cut(opened: Open, chat: Path) -> None:
    runner = opened("windows")
    read(runner, IDS[:200])
    keep(runner, chat)
    other = opened("windows")
    assert restore(other, chat, IDS[:190] + IDS[500:510]) == 0  # what the window no longer shows is gone
    fresh = opened("windows")
    assert np.array_equal(read(other, IDS[:100]), read(fresh, IDS[:100]))


def test_a_hybrid_goes_back_to_where_the_question_begins(opened: Open, chat: Path) -> None:
    runner = opened("hybrid")
    read(runner, IDS[:200])
    runner.snapshot()
    read(runner, IDS[200:240])
    keep(runner, chat)
    other = opened("hybrid")
    assert restore(other, chat, IDS[:200] + IDS[500:510]) == 200


def test_a_turn_adds_to_what_is_written(opened: Open, chat: Path) -> None:
    runner = opened()
    read(runner, IDS[:600])
    keep(runner, chat)
    before = {path: path.stat().st_ino for path in kv_files(chat)}
    assert len(before) == 3
    read(runner, IDS[600:650])
    keep(runner, chat)
    after = kv_files(chat)
    assert len(after) == 3
    assert [before.get(path) for path in after] == [path.stat().st_ino for path in after[:2]] + [None]
    assert {path.name for path in chat.parent.iterdir()} == {"chat"}
    assert {path.suffix for path in (chat.parent / "chat").iterdir()} == {".kv"}


def test_chats_that_begin_alike_share_what_was_read(opened: Open, chat: Path) -> None:
    runner = opened()
    read(runner, IDS[:300])
    keep(runner, chat)
    size = sum(path.stat().st_size for path in kv_files(chat))
    other_chat, other = chat.with_name("other.npz"), opened()
    prompt = IDS[:280] + IDS[400:420]
    assert restore(other, other_chat, prompt) == 280
    read(other, prompt[280:])
    keep(other, other_chat)
    assert sum(path.stat().st_size for path in kv_files(chat)) < 1.4 * size


def test_sequences_of_one_runner_restore_what_others_wrote(opened: Open, chat: Path) -> None:
    runner = opened()
    read(runner, IDS[:300])
    keep(runner, chat)
    expected = read(runner, IDS[300:310])
    several = opened(parallel=3)
    read(several, IDS[400:440], 2)
    assert restore(several, chat, IDS[:310], 1) == 300
    np.testing.assert_allclose(read(several, IDS[300:310], 1), expected, atol=1e-5)
    keep(several, chat.with_name("second.npz"), 1)
    again = opened()
    assert restore(again, chat, IDS[:320]) == 310


def test_a_beginning_is_copied_from_another_sequence(opened: Open) -> None:
    runner = opened(parallel=2)
    read(runner, IDS[:300], 0)
    runner.sequences[1].take_from(runner.sequences[0], 250)
    assert runner.sequences[1].ids == IDS[:250]
    assert runner.sequences[0].ids == IDS[:300]
    copied = read(runner, IDS[500:510], 1)
    runner.sequences[0].truncate(250)
    assert np.array_equal(read(runner, IDS[500:510], 0), copied)


def test_a_chat_that_begins_alike_gets_a_sequence_of_its_own(opened: Open) -> None:
    runner = opened(parallel=2)
    scheduler = Scheduler(runner)
    first = scheduler.sequence_for(IDS[:100])
    read(runner, IDS[:300], runner.sequences.index(first))
    second = scheduler.sequence_for(IDS[:80] + IDS[400:440])
    assert second is not first
    assert second.tokens == IDS[:80]
    assert scheduler.sequence_for(IDS[:290] + IDS[400:440]) is first


def test_what_follows_turns_that_are_left_out_is_moved_and_not_kept(opened: Open, chat: Path) -> None:
    runner = opened(parallel=2)
    scheduler = Scheduler(runner)
    first = scheduler.sequence_for(IDS[:100])
    read(runner, IDS[:500])
    prompt = IDS[:50] + IDS[250:500] + IDS[600:610]
    moved = scheduler.sequence_for(prompt, shortened=True)
    assert moved is first
    assert moved.tokens == prompt[:300]
    assert moved.unmoved == 50
    found = read(runner, IDS[600:610])
    assert np.isfinite(found).all()
    fresh = opened()
    expected = read(fresh, prompt)
    assert np.corrcoef(found, expected)[0, 1] > 0.9  # its values were computed with the turns that are left out
    keep(runner, chat)
    assert not kv_files(chat)
    other = scheduler.sequence_for(IDS[:50] + IDS[250:400] + IDS[650:660])
    assert other is not moved
    assert other.tokens == []
    assert scheduler.sequence_for(prompt[:200] + IDS[650:660]) is moved  # now it was used longest ago
    assert moved.tokens == IDS[:50]  # of what was moved nothing goes into another chat
    assert moved.unmoved == 50


def test_keys_are_moved_to_where_they_would_be_computed(opened: Open) -> None:
    """One layer alone has keys that depend on their own token and its position only."""
    runner, fresh = opened("shallow", kv_type="f32"), opened("shallow", kv_type="f32")
    read(runner, IDS[:400])
    prompt = IDS[:50] + IDS[150:400] + IDS[600:610]
    runner.sequences[0].move(prompt)
    assert runner.sequences[0].tokens == prompt[:300]
    np.testing.assert_allclose(read(runner, IDS[600:610]), read(fresh, prompt), atol=1e-4)


@pytest.mark.parametrize("name", ["windows", "hybrid"])
def test_models_that_cannot_move_their_memory_read_again(name: str, opened: Open) -> None:
    runner = opened(name)
    read(runner, IDS[:400])
    runner.sequences[0].move(IDS[:50] + IDS[150:400])
    assert runner.sequences[0].tokens == IDS[:400]


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "numbers", "tokens", "layout", "renamed"])
@pytest.mark.parametrize("which", [0, 1])
def test_damaged_files_are_passed_over(damage: str, which: int, opened: Open, chat: Path) -> None:
    runner = opened()
    read(runner, IDS[:400])
    keep(runner, chat)
    path = kv_files(chat)[which]
    data = bytearray(path.read_bytes())
    if damage == "renamed":
        start, before, after = path.name.split("-")
        path.rename(path.with_name(f"{start}-{before[::-1]}-{after}"))
    else:
        places = {"numbers": len(data) - 9, "tokens": len(data) // 2, "layout": 70}
        data[places.get(damage, 0)] ^= 255
        path.write_bytes({"cut": data[: len(data) // 2], "text": b"no state", "empty": b""}.get(damage, bytes(data)))
    other = opened()
    kept = restore(other, chat, IDS[:410])
    assert kept == which * blocks.BLOCK
    fresh = opened()
    if kept:
        read(fresh, IDS[:kept])
    assert np.array_equal(read(other, IDS[kept:410]), read(fresh, IDS[kept:410]))


def test_a_file_for_another_model_is_refused_by_llama_cpp(opened: Open, chat: Path) -> None:
    runner, latent = opened(), opened("latent")
    read(runner, IDS[:300])
    store(runner.sequences[0], chat, identity(latent))  # a file that only says that it is of the other model
    assert restore(latent, chat, IDS[:310]) == 0
    fresh = opened("latent")
    assert np.array_equal(read(latent, IDS[:50]), read(fresh, IDS[:50]))


def test_another_cache_type_is_another_memory(opened: Open, chat: Path) -> None:
    runner = opened()
    read(runner, IDS[:300])
    keep(runner, chat)
    assert restore(opened(kv_type="q8_0"), chat, IDS[:310]) == 0


def test_a_full_disk_costs_only_time_and_is_said(opened: Open, chat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(chat_states.reports, "say", lambda error: said.append(str(error)))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    runner = opened()
    read(runner, IDS[:300])
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "write_file", full)
        keep(runner, chat)
    monkeypatch.setattr(chat_states, "_LEFT_ON_DISK", 1 << 62)
    keep(runner, chat)
    assert all("No space left on device" in sentence and "Nothing of the chat is lost" in sentence for sentence in said)
    assert len(said) == 2
    assert not kv_files(chat)
    assert restore(opened(), chat, IDS[:310]) == 0


def test_the_last_files_of_the_oldest_chat_make_room(opened: Open, chat: Path) -> None:
    runner = opened()
    old = chat.with_name("old.npz")
    read(runner, IDS[:600])
    keep(runner, old)
    for path in kv_files(chat):
        os.utime(path, (1, 1))
    runner.truncate(0)
    read(runner, IDS[100:400])
    keep(runner, chat)
    sizes = sum(path.stat().st_size for path in kv_files(chat))
    chat_states._shrink(chat.parent, sizes - 1)
    other = opened()
    assert restore(other, chat, IDS[:610]) == 512
    chat_states._shrink(chat.parent, 0)
    assert not [*chat.parent.iterdir()]


def test_only_whole_states_of_attention_are_read_as_rows(opened: Open) -> None:
    runner = opened()
    read(runner, IDS[:20])
    state = runner.sequences[0]._whole()
    cells = cells_of(state, 20)
    assert cells is not None
    assert layout_from(cells.layout.stored()) == cells.layout
    for data in (state[:-4], state[:60], state[:3], np.zeros(400, np.uint8)):
        assert cells_of(data, 20) is None
    assert cells_of(state, 19) is None
    wide = Layout(1, 1, ((1, 1 << 40), (1, 2)))
    for stored in (b"", bytes(40), cells.layout.stored()[:-1], wide.stored()):
        assert layout_from(stored) is None
