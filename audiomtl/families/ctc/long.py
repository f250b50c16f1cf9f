"""Recordings of any length through a CTC network: overlapping chunks, joined where both say the same.

Conventions: a sound is a function that gives its samples in blocks, at the model's rate, as often as it is
asked: clip-wise scaling needs a first pass over the whole. Frames are feature frames, steps network frames.
Neighbouring chunks share `OVERLAP_SECONDS`; inside the middle half of it one step is chosen where their
probabilities differ least, and the outputs before it are the first chunk's, those behind it the second's. A
phone is so neither lost nor doubled, unless the two disagree in all of that time.

Contents: `logits_of`, `pieces`, `is_long`.
"""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from audiomtl.data import scaling
from audiomtl.data.stream import frame_parts
from audiomtl.families.contract import Fitted
from audiomtl.settings.shared import Features

LONGEST_SECONDS = 60.0  # up to here a recording is answered in one pass
CHUNK_SECONDS = 30.0
OVERLAP_SECONDS = 4.0
WINDOW_STEPS = 2  # steps to either side over which two chunks are compared
Sound = Callable[[], Iterator[np.ndarray]]


def is_long(n_samples: int, settings: Features) -> bool:
    """Whether a recording is answered chunk by chunk."""
    return n_samples > LONGEST_SECONDS * settings.sample_rate


def of_array(y: np.ndarray, block: int = 2**20) -> Sound:
    """A waveform in memory as a sound."""
    return lambda: (y[begin : begin + block] for begin in range(0, len(y), block))


def logits_of(fitted: Fitted, sound: Sound) -> np.ndarray:  # (steps, classes)
    """Outputs of the network for a whole recording, as one array."""
    return np.concatenate(list(pieces(fitted, sound)))


def pieces(fitted: Fitted, sound: Sound) -> Iterator[np.ndarray]:
    """Outputs of the network, piece by piece: (steps, classes) each, one behind the other without a gap."""
    settings, reduction = fitted.settings.features, fitted.settings.network.time_reduction
    scaler, statistics = fitted.known.scaler, scaling.Statistics()
    overlap = _multiple(settings.frames(OVERLAP_SECONDS), reduction)
    stride = _multiple(settings.frames(CHUNK_SECONDS), reduction) - overlap
    if scaling.of_clip(scaler.kind):
        for part in frame_parts(sound(), settings, stride):
            statistics.add(part)

    def answer(frames: np.ndarray) -> np.ndarray:
        scaled = scaling.apply_part(frames, scaler, statistics)
        inputs = [tf.constant(scaled[None]), tf.constant([len(scaled)], tf.int32)]
        return fitted.forward(inputs).numpy()[0]  # (steps, classes)

    shared = overlap // reduction
    waiting = np.zeros((0, settings.n_bands), np.float32)  # frames of which no chunk is answered
    before = None  # the last steps of the chunk before, which the next one answers as well
    for part in frame_parts(sound(), settings, stride):
        waiting = np.concatenate([waiting, part])
        while len(waiting) > stride + overlap:
            now = answer(waiting[: stride + overlap])
            waiting = waiting[stride:]
            before, piece = now[-shared:], _joined(before, now, shared)[: -shared or None]
            yield piece
    if len(waiting):
        yield _joined(before, answer(waiting), shared)


def _multiple(frames: float, reduction: int) -> int:
    """The nearest whole number of network frames, in frames."""
    return max(1, round(frames / reduction)) * reduction


def _joined(before: np.ndarray | None, now: np.ndarray, shared: int) -> np.ndarray:
    """A chunk's steps, those that the chunk before answers better replaced by its answers."""
    if before is None:
        return now
    cut = _cut(_probabilities(before), _probabilities(now[:shared]))
    return np.concatenate([before[:cut], now[cut:]])


def _cut(first: np.ndarray, second: np.ndarray) -> int:
    """Step of the overlap (steps, classes) from which on the second chunk answers."""
    steps = len(first)
    differ = np.abs(first - second).sum(axis=1)
    kernel = np.ones(2 * WINDOW_STEPS + 1)
    around = np.convolve(differ, kernel, "same")
    middle = np.arange(steps // 4, max(steps // 4 + 1, 3 * steps // 4))
    # the best to a thousandth, and of equal ones that in the middle, so that last bits decide nothing
    rank = [(round(float(around[step]), 3), abs(step - steps // 2), int(step)) for step in middle]
    return min(rank)[2]


def _probabilities(logits: np.ndarray) -> np.ndarray:
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)
