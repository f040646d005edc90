"""`zhiyin quality` against the same figures in float64, and what it keeps."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Tokenize
from desktop_app.engine.results import Divergences
from desktop_app.paths import data_folder, qualities_file, references_folder
from desktop_app.plots import linear_ticks
from desktop_app.quality.chunks import cut_chunks
from desktop_app.quality.figures import percentiles, quality_of
from desktop_app.quality.kept import Qualities, in_words
from desktop_app.quality.measurement import Measurement, MeasureRequest, measure_quality
from desktop_app.quality.plot import plot_svg
from desktop_app.quality.references import reference_files, reference_identity, shrink_references
from desktop_app.quality.texts import BUILT_IN, measuring_text
from models.errors import ZhiyinError
from tests.support.commands import zhiyin
from tests.support.graph_models import graph_case
from tests.support.logits import loaded_logits

CONTEXT = 64
TEXT = (Path(__file__).parents[3] / "LICENSE").read_text("utf-8")[3000:3700]


@pytest.fixture(scope="module")
def coarse(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter model with fewer bits."""
    out = tmp_path_factory.mktemp("coarse") / "coarse.gguf"
    return convert(ConvertRequest(starter_gguf, out, "Q4_0", allow_requantize=True)).path


def measured(model: Path, reference: Path | None) -> Measurement:
    return measure_quality(MeasureRequest(model, TEXT, BUILT_IN, reference, CONTEXT))


def log_softmax(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    rows -= rows.max(1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(1, keepdims=True))


def scored(path: Path, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of probability after the scored positions, float64 [n, vocabulary], and the tokens that follow."""
    with Engine() as engine:
        engine.submit(Load(path, LoadSettings(context=CONTEXT, logit_rows=CONTEXT))).result(60)
        chunks = cut_chunks(engine, TEXT, CONTEXT, BUILT_IN)
        rows = [loaded_logits(engine, chunk, out)[CONTEXT // 2 : -1] for chunk in chunks]
    return log_softmax(np.concatenate(rows)), np.concatenate([chunk[CONTEXT // 2 + 1 :] for chunk in chunks])


def test_figures_are_those_of_the_logits(starter_gguf: Path, coarse: Path, tmp_path: Path) -> None:
    found = measured(coarse, starter_gguf)
    reference, targets = scored(starter_gguf, tmp_path / "reference.npy")
    model, _ = scored(coarse, tmp_path / "model.npy")
    divergences = (np.exp(reference) * (reference - model)).sum(1)
    places = np.arange(len(targets))
    quality = found.quality
    assert quality.tokens == len(targets) == 31 * found.chunks
    assert found.chunks >= 2
    assert quality.kl_mean == pytest.approx(divergences.mean(), rel=1e-3)
    assert quality.kl_median == pytest.approx(np.median(divergences), rel=1e-2)
    assert quality.kl_99 == pytest.approx(np.percentile(divergences, 99), rel=1e-2)
    assert quality.kl_max == pytest.approx(divergences.max(), rel=1e-2)
    assert quality.same_top == pytest.approx((reference.argmax(1) == model.argmax(1)).mean(), abs=1.5 / len(targets))
    assert quality.perplexity == pytest.approx(np.exp(-model[places, targets].mean()), rel=1e-3)
    assert quality.perplexity_reference == pytest.approx(np.exp(-reference[places, targets].mean()), rel=1e-3)
    error = divergences.std() / np.sqrt(len(targets) - 1)
    assert quality.intervals["kl_mean"] == pytest.approx(
        (divergences.mean() - 1.96 * error, divergences.mean() + 1.96 * error), rel=1e-2
    )


def test_the_reference_is_stored_small_and_used_again(starter_gguf: Path, coarse: Path) -> None:
    """A file that was damaged on the disk is computed again."""
    first = measured(coarse, starter_gguf)
    files = sorted(references_folder().iterdir())
    assert len(files) == first.chunks
    rows, vocabulary = 31, 49152
    assert sum(file.stat().st_size for file in files) < 0.5 * len(files) * rows * vocabulary * 2, (
        "llama.cpp's have two bytes"
    )
    contents = [file.read_bytes() for file in files]
    assert measured(coarse, starter_gguf).divergences == first.divergences
    assert [file.read_bytes() for file in files] == contents
    files[0].write_bytes(contents[0][: len(contents[0]) // 2])
    assert measured(coarse, starter_gguf).divergences == first.divergences
    assert files[0].read_bytes() == contents[0]


def test_the_oldest_references_go_first(starter_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = reference_files(reference_identity(starter_gguf), [(1, 2, 3), (4, 5, 6), (7, 8, 9)], 1)
    for age, file in enumerate(files):
        file.write_bytes(bytes(100))
        os.utime(file, (1000 + age, 1000 + age))
    monkeypatch.setattr("desktop_app.quality.references._MOST_BYTES", 150)
    shrink_references(files[2:])
    assert [file.exists() for file in files] == [False, True, True]


def test_a_checkpoint_is_a_reference(smollm2_checkpoint: Path, starter_gguf: Path, tmp_path: Path) -> None:
    """The starter model's own weights as a checkpoint: what is converted for it is removed again."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    plot = tmp_path / "plot.svg"
    arguments = ("quality", str(starter_gguf), "--against", str(smollm2_checkpoint), "--text", str(text), "--ctx", "64")
    done = zhiyin(*arguments, "--json", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= {
        "tokens",
        "perplexity",
        "perplexity_reference",
        "kl_mean",
        "kl_median",
        "kl_99",
        "kl_max",
        "same_top",
    }
    assert 0 < found["kl_mean"] < 0.01, "the same weights, in another type"
    drawn = ET.parse(plot).getroot()  # noqa: S314 - our own file
    assert [part.tag.rpartition("}")[2] for part in drawn.iter()].count("polyline") == 1
    assert not [path for path in data_folder().iterdir() if "reference.gguf" in path.name]


def test_the_command_says_it_in_words_and_keeps_it(starter_gguf: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    alone = zhiyin("quality", str(starter_gguf), "--text", str(text), "--ctx", "64")
    assert (alone.returncode, "KL" in alone.stdout) == (0, False)
    assert "name one by --against" in alone.stderr
    same = zhiyin("quality", str(starter_gguf), "--against", str(starter_gguf), "--text", str(text), "--ctx", "64")
    # rounding of the kept reference may put it below zero, as with llama.cpp's tool
    assert re.search(r"^KL divergence, mean +-?0\.00000\d ", same.stdout, re.MULTILINE), "a model is like itself"
    assert "It answers like the original in 100 of 100 tokens." in same.stdout
    assert "KL divergence, 99 %" in same.stdout


def test_another_models_reference_is_refused(coarse: Path, tmp_path: Path) -> None:
    with pytest.raises(ZhiyinError, match="it is another model"):
        measured(coarse, graph_case("chatglm1", tmp_path).path)


def test_measurements_are_kept_with_the_file(tmp_path: Path) -> None:
    model, reference = tmp_path / "model.gguf", tmp_path / "reference.gguf"
    model.write_bytes(b"model")
    quality = quality_of(Divergences([1.0, 2.0], [1.0, 1.5], [0.25, 0.5], [True, False]))
    Qualities(tmp_path / "quality.json").keep(model, reference, quality)
    kept = Qualities(tmp_path / "quality.json").of(model)
    assert kept is not None
    assert (kept.kl_mean, kept.same_top, kept.reference) == (0.375, 0.5, "reference.gguf")
    assert str(in_words(0.974)) == "It answers like the original in 97 of 100 tokens."
    model.write_bytes(b"another model")
    assert Qualities(tmp_path / "quality.json").of(model) is None
    Qualities(tmp_path / "quality.json").keep(model, reference, replace(quality, kl_mean=None))
    assert Qualities(tmp_path / "quality.json").of(model) is None


def test_an_axis_ends_above_the_largest_value_at_a_round_number() -> None:
    for largest in (0.03, 1.0, 7.2, 63.0, 99.9, 100.0, 2500.0, 0.0):
        end, ticks = linear_ticks(largest)
        assert end >= largest
        assert ticks[0] == (0.0, "0")
        assert ticks[-1][0] == 1.0
        assert 2 <= len(ticks) <= 8
        assert float(ticks[-1][1]) == pytest.approx(end)


def test_the_plot_holds_any_values() -> None:
    for values in ([0.0, 0.0], [1e-9, 3.0], [0.1]):
        assert "a < b & c" in ET.fromstring(plot_svg(values, "a < b & c")).itertext()  # noqa: S314 - our own text
    assert percentiles([3.0, 1.0, 2.0], 2) == [1.0, 2.0, 3.0]


def test_our_own_text_is_long_enough(starter_gguf: Path) -> None:
    with Engine() as engine:
        engine.submit(Load(starter_gguf, LoadSettings(context=512))).result(60)
        assert len(engine.submit(Tokenize(measuring_text())).result(60).ids) > 3000


def test_the_list_tells_what_was_measured(starter_gguf: Path) -> None:
    quality = quality_of(Divergences([1.0, 2.0], [1.0, 1.5], [0.25, 0.5], [True, False]))
    Qualities(qualities_file()).keep(starter_gguf, Path("original"), quality)
    told = zhiyin("models", "info", str(starter_gguf)).stdout
    assert "It answers like the original in 50 of 100 tokens. KL divergence from original: 0.3750" in told
    assert json.loads(zhiyin("models", "info", str(starter_gguf), "--json").stdout)["quality"]["tokens"] == 2
