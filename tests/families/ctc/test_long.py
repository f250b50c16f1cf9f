"""Long recordings: frames that come in blocks, chunks that are joined, phones that are neither lost nor doubled."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audiomtl.data import features, scaling
from audiomtl.data.stream import frame_parts
from audiomtl.families.ctc import long
from audiomtl.nn.ctc import collapse
from audiomtl.settings.shared import Features

RATE = 8000
SETTINGS = Features.model_validate(
    {
        "kind": "log_stft",
        "sample_rate": RATE,
        "window_seconds": 0.016,
        "hop_seconds": 0.010,
        "n_fft": 256,
        "floor_db": -100.0,
        "scaling": "none",
    }
)


def _sound(samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 79, 80, 5000, 16000])
@pytest.mark.parametrize("block", [37, 800, 20000])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_frames_of_blocks_are_those_of_the_whole(samples: int, block: int, count: int) -> None:
    y = _sound(samples)
    if samples // 80 // count > 30:
        return
    parts = list(frame_parts(long.of_array(y, block)(), SETTINGS, count))
    assert all(len(part) == count for part in parts[:-1])
    np.testing.assert_allclose(np.concatenate(parts), features.extract(y, SETTINGS), atol=1e-3)


@pytest.mark.parametrize("kind", ["none", "minmax", "minmax_01", "standard_clip"])
def test_a_part_is_scaled_as_in_the_whole(kind: str) -> None:
    frames = features.extract(_sound(4000), SETTINGS)
    scaler, statistics = scaling.fit([frames], kind), scaling.Statistics()
    for begin in range(0, len(frames), 7):
        statistics.add(frames[begin : begin + 7])
    whole = scaling.apply(frames, scaler)
    for begin in (0, 13, 44):
        part = scaling.apply_part(frames[begin : begin + 9], scaler, statistics)
        np.testing.assert_allclose(part, whole[begin : begin + 9], atol=1e-5)
    flat = np.full((5, 3), -80.0, np.float32)  # a silent recording
    silent = scaling.Statistics()
    silent.add(flat)
    np.testing.assert_array_equal(scaling.apply_part(flat, scaler, silent), scaling.apply(flat, scaler))


def _fitted(answer: Any, kind: str = "none", reduction: int = 1) -> Any:
    """A model whose outputs are a function of (frames (1, frames, bands))."""
    scaler = scaling.fit([np.zeros((1, SETTINGS.n_bands), np.float32)], kind)
    settings = SimpleNamespace(features=SETTINGS, network=SimpleNamespace(time_reduction=reduction))

    def forward(inputs: Any) -> Any:
        return SimpleNamespace(numpy=lambda: answer(inputs[0].numpy()))

    return SimpleNamespace(settings=settings, known=SimpleNamespace(scaler=scaler), forward=forward)


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "CHUNK_SECONDS", 0.5)
    monkeypatch.setattr(long, "OVERLAP_SECONDS", 0.2)


@pytest.mark.parametrize("reduction", [1, 2, 3])
@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.51, 1.37, 4.0])
@pytest.mark.parametrize("kind", ["none", "minmax", "standard_clip"])
def test_of_a_network_that_sees_one_frame_chunks_change_nothing(
    short_chunks, reduction: int, seconds: float, kind: str
) -> None:
    y = _sound(round(seconds * RATE))
    fitted = _fitted(lambda frames: frames[:, ::reduction, :5] / 10, kind, reduction)
    frames = features.extract(y, SETTINGS)
    whole = scaling.apply(frames, fitted.known.scaler)[::reduction, :5] / 10
    pieces = list(long.pieces(fitted, long.of_array(y)))
    assert len(pieces) == max(1, int(np.ceil((len(frames) - 20) / 30))) or reduction > 1
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_phones_are_neither_lost_nor_doubled_where_chunks_meet(short_chunks) -> None:
    """Near its edges this network says nonsense, and it says each phone a step later in every chunk."""
    truth = np.zeros(400, int)
    truth[5::10] = 1 + np.arange(40) % 3
    chunk = iter(range(100))

    def answer(frames: np.ndarray) -> np.ndarray:
        number = next(chunk)
        own = truth[number * 30 : number * 30 + frames.shape[1]].copy()
        if number % 2:
            own = np.roll(own, 1)
        classes = np.pad(own, (0, frames.shape[1] - len(own)))
        if number:
            classes[:4] = 2
        if len(classes) == 50:  # not the last one
            classes[-4:] = 2
        return 5 * np.eye(4, dtype=np.float32)[classes][None]

    logits = long.logits_of(_fitted(answer), long.of_array(_sound(399 * 80)))
    assert len(logits) == 400
    assert collapse(logits.argmax(axis=1), drop=(0,)) == collapse(truth, drop=(0,))


def test_a_cut_lies_where_both_chunks_agree() -> None:
    one, other = np.tile([1.0, 0.0], (20, 1)), np.tile([1.0, 0.0], (20, 1))
    assert long._cut(one, other) == 10  # everywhere: in the middle
    other[8:20] = [0.0, 1.0]
    assert long._cut(one, other) == 5  # never in the outer quarters
    other[:] = [0.0, 1.0]
    assert long._cut(one, other) == 10  # nowhere
