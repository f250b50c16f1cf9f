"""The heads of a multi-task network: output layer, loss, and what an output says.

Conventions: outputs have the clips first, then, but for ``clip_class`` and ``value``, the steps. A head's loss is a mean over clips,
weighted by ``weight`` (clips,), which is 0 where a clip lacks the label: such a clip has no influence on the loss or its gradient, and a
batch in which all lack it has loss 0. Of a clip it is a mean over its own steps, classes and keys summed, bands averaged.

Contents: `output`, `loss`, `coupling_loss`, `runs`, `melody_notes`, `held_notes`.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from keras import initializers, layers

from audiomtl.data.scores import KEYS, LOWEST, notes_from_rolls
from audiomtl.families.multitask.encoder import Attend, PerKey
from audiomtl.families.multitask.targets import REST
from audiomtl.nn.masking import MeanOverSteps

PER_CLIP = ("clip_class", "value")
CATEGORICAL = ("alignment", "phones", "melody", "clip_class")  # a softmax over classes; targets are numbers, -1 without one
BINARY = ("notes", "segments")  # sigmoids; the others, mel and value, are squared errors
SMALLEST = 1e-7  # added to a probability before its logarithm
SHORTEST_SECONDS = 0.08  # of a decoded note
PEAK_STEPS = 2  # to either side of an onset, where none is higher
RARE = 0.01  # share of keys that a head of kind notes expects at first
ONSET_WEIGHT = 4.0  # of a step in which a key begins: hardly any of a clip's steps and keys is one
HELD = 0.25  # score from which on a key is held


def output(
    name: str, kind: str, steps: Any, lengths: Any, *, classes: int, bands: int, stride: int, text: Any = None, keys: Any = None
) -> Any:
    """The head's output tensor; ``text`` is (keys, tokens) for kind alignment, ``keys`` what the encoder knows of each key, or None."""
    layer = f"head_{name}"
    if kind == "clip_class":
        return layers.Dense(classes, activation="softmax", name=layer)(MeanOverSteps(stride)([steps, lengths]))
    if kind == "value":
        return layers.Dense(1, name=layer)(MeanOverSteps(stride)([steps, lengths]))
    if kind == "alignment":
        symbols, tokens = text
        return Attend(stride, name=layer)([layers.Dense(symbols.shape[2], name=f"{layer}_steps")(steps), lengths, symbols, tokens])
    # hardly any key sounds: from 88 sigmoids at one half the first steps would drive the encoder into saturation (Lin et al., 2017)
    rare = math.log(RARE / (1 - RARE))
    if kind == "notes" and keys is not None:
        both = PerKey(2, start=rare, name=layer)([keys, steps])
        return layers.Activation("sigmoid")(layers.Concatenate()([both[:, :, :, 0], both[:, :, :, 1]]))
    if kind == "melody" and keys is not None:
        rest = layers.Dense(1, name=f"{layer}_rest")(steps)
        return layers.Activation("softmax")(layers.Concatenate()([PerKey(1, name=layer)([keys, steps])[:, :, :, 0], rest]))
    sizes = {"phones": classes, "melody": KEYS + 1, "notes": 2 * KEYS, "mel": bands, "segments": classes}
    activation = "softmax" if kind in CATEGORICAL else "sigmoid" if kind in BINARY else None
    bias = initializers.Constant(rare) if kind == "notes" else "zeros"
    return layers.Dense(sizes[kind], activation=activation, bias_initializer=bias, name=layer)(steps)


def loss(kind: str, outputs: Any, target: Any, weight: Any, steps: Any) -> tf.Tensor:
    """One head's loss, a scalar: cross-entropy, or squared error for mel and value.

    Parameters
    ----------
    outputs : of `output`. target : as `targets.target` gives it, padded. weight : (clips,). steps : (clips,) how many are a clip's own.
    """
    if kind in CATEGORICAL:
        right = tf.gather(outputs, tf.maximum(target, 0), batch_dims=len(target.shape))
        each, counted = -tf.math.log(right + SMALLEST), tf.cast(target >= 0, tf.float32)
    elif kind in BINARY:
        often = tf.concat([tf.fill([KEYS], ONSET_WEIGHT), tf.ones(KEYS)], 0) if kind == "notes" else 1.0
        likely = often * target * tf.math.log(outputs + SMALLEST) + (1 - target) * tf.math.log(1 - outputs + SMALLEST)
        each = -tf.reduce_sum(likely, axis=2)
        counted = tf.ones_like(each)
    elif kind == "mel":
        each = tf.reduce_mean((outputs - target) ** 2, axis=2)
        counted = tf.ones_like(each)
    else:
        each = (outputs[:, 0] - target) ** 2
        counted = tf.ones_like(each)
    if kind not in PER_CLIP:
        counted *= tf.sequence_mask(steps, tf.shape(each)[1], dtype=each.dtype)
        each = tf.reduce_sum(tf.where(counted > 0, each, 0.0), axis=1) / tf.maximum(tf.reduce_sum(counted, axis=1), 1.0)
    else:
        weight = weight * counted
    total = tf.reduce_sum(weight)
    return tf.reduce_sum(tf.where(weight > 0, weight * each, 0.0)) / tf.where(total > 0, total, 1.0)


def coupling_loss(clip_class: Any, segments: Any, steps: Any) -> tf.Tensor:
    """What two heads say of each other: mean squared difference of class probabilities and pooled activities.

    Activities (clips, steps, classes) are pooled by linear softmax, sum of squares over sum (Wang, Li and Metze, 2019), which gives (clips,
    classes). No label is needed.
    """
    own = segments * tf.sequence_mask(steps, tf.shape(segments)[1], dtype=segments.dtype)[:, :, None]
    pooled = tf.reduce_sum(own**2, axis=1) / tf.maximum(tf.reduce_sum(own, axis=1), SMALLEST)
    return tf.reduce_mean((clip_class - pooled) ** 2)


# ---------------------------------------------------------------- what an output says


def runs(numbers: np.ndarray, times: np.ndarray) -> list[tuple[float, float, int]]:
    """Runs of equal numbers (steps,) as (start, end, number) in seconds; boundaries lie halfway between steps."""
    if not len(numbers):
        return []
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    firsts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    lasts = np.append(firsts[1:] - 1, len(numbers) - 1)
    return [(float(times[first] - half), float(times[last] + half), int(numbers[first])) for first, last in zip(firsts, lasts, strict=True)]


def melody_notes(shares: np.ndarray, times: np.ndarray) -> list[tuple[float, float, int]]:
    """Notes of a melody's shares (steps, `KEYS` + 1): runs of the likeliest key that last; shorter ones are glides and slips."""
    found = runs(shares.argmax(axis=1), times)
    lasting = [one for one in found if one[2] != REST and one[1] - one[0] >= SHORTEST_SECONDS - 1e-9]
    return [(max(start, 0.0), end, key + LOWEST) for start, end, key in lasting]


def held_notes(shares: np.ndarray, times: np.ndarray, threshold: float) -> list[tuple[float, float, int]]:
    """Notes of onsets and held keys (steps, 2 `KEYS`), on the times of the steps; one begins where its key's onset is highest."""
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    onsets = np.pad(shares[:, :KEYS], ((PEAK_STEPS, PEAK_STEPS), (0, 0)))
    highest = np.lib.stride_tricks.sliding_window_view(onsets, 2 * PEAK_STEPS + 1, axis=0).max(axis=2)
    peaks = np.where(shares[:, :KEYS] >= highest, shares[:, :KEYS], 0)
    found = notes_from_rolls(peaks, shares[:, KEYS:], step, threshold, HELD, SHORTEST_SECONDS)
    return [(float(onset + times[0]), float(offset + times[0]), key) for onset, offset, key in found]
