"""Heads of several tasks: each loss against NumPy, what is masked or lacks its label has no influence,
outputs to notes.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.data.scores import KEYS
from audiomtl.families.multitask.heads import Answer
from audiomtl.families.multitask.heads import kind as head_kind
from audiomtl.families.multitask.heads.melody import REST
from audiomtl.families.multitask.heads.notes import ONSET_WEIGHT, RARE, held_notes
from audiomtl.nn.losses import logits_of

CLASSES, BANDS, STEPS = 4, 5, 6
OWN = np.array([6, 3, 4], np.int32)  # of three clips
WEIGHTS = np.array([1.0, 2.0, 0.5], np.float32)
KINDS = ("alignment", "phones", "melody", "notes", "mel", "clip_class", "segments", "value", "tags")
CATEGORICAL, BINARY, PER_CLIP = (
    ("alignment", "phones", "melody", "clip_class"),
    ("notes", "segments"),
    ("clip_class", "value", "tags"),
)
SHAPES = {"clip_class": (CLASSES,), "tags": (CLASSES,), "value": (1,), "alignment": (STEPS, 7), "phones": (STEPS, CLASSES), "melody": (STEPS, KEYS + 1),
          "notes": (STEPS, 2 * KEYS), "mel": (STEPS, BANDS), "segments": (STEPS, CLASSES)}  # fmt: skip


def made(kind: str, clips: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An output of a head and a target, at random."""
    random = np.random.default_rng(KINDS.index(kind))
    shape = (clips, *SHAPES[kind])
    if kind in CATEGORICAL:
        outputs, target = (
            random.dirichlet(np.ones(shape[-1]), shape[:-1]),
            random.integers(0, shape[-1], shape[:-1]),
        )
        return outputs.astype(np.float32), target.astype(np.int32)
    if kind in BINARY:
        return random.uniform(0.01, 0.99, shape).astype(np.float32), random.integers(0, 2, shape).astype(
            np.float32
        )
    if kind == "tags":
        found, target = random.normal(0, 3, shape), random.integers(0, 2, shape)
        return found.astype(np.float32), target.astype(np.float32)
    return random.normal(size=shape).astype(np.float32), random.normal(
        size=shape[:1] if kind == "value" else shape
    ).astype(np.float32)


def by_hand(kind: str, outputs: np.ndarray, target: np.ndarray, weights, own) -> float:
    """The loss in plain loops."""
    each = []
    for found, right, count in zip(outputs, target, own, strict=True):
        if kind == "clip_class":
            each.append(-np.log(found[right]))
        elif kind == "value":
            each.append((found[0] - right) ** 2)
        elif kind == "tags":  # of logits
            p = 1 / (1 + np.exp(-found.astype(float)))
            each.append(-np.mean(right * np.log(p) + (1 - right) * np.log(1 - p)))
        else:
            steps = []
            for step in range(count):
                said, true = found[step], right[step]
                if kind in CATEGORICAL and true >= 0:
                    steps.append(-np.log(said[true]))
                elif kind in BINARY:
                    often = [ONSET_WEIGHT] * KEYS + [1] * KEYS if kind == "notes" else [1] * CLASSES
                    steps.append(
                        -sum(
                            n * np.log(p) if t else np.log(1 - p)
                            for p, t, n in zip(said, true, often, strict=True)
                        )
                    )
                elif kind == "mel":
                    steps.append(np.mean((said - true) ** 2))
            each.append(np.mean(steps))
    return sum(weight * one for weight, one in zip(weights, each, strict=True) if weight) / sum(weights)


def loss(kind, outputs, target, weights=WEIGHTS, own=OWN) -> float:
    """Of answers; heads with an activation learn from its logits."""
    logits = logits_of(outputs, head_kind(kind).ABOUT.activation).astype(np.float32)
    return float(
        head_kind(kind).loss(
            tf.constant(logits), tf.constant(target), tf.constant(weights, tf.float32), tf.constant(own)
        )
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_loss_by_hand(kind) -> None:
    outputs, target = made(kind)
    assert loss(kind, outputs, target) == pytest.approx(
        by_hand(kind, outputs, target, WEIGHTS, OWN), rel=1e-4
    )
    if kind in ("alignment", "phones", "melody"):
        target[0, 2] = target[1, 0] = -1  # steps without a class
        assert loss(kind, outputs, target) == pytest.approx(
            by_hand(kind, outputs, target, WEIGHTS, OWN), rel=1e-4
        )


@pytest.mark.parametrize("kind", KINDS)
def test_steps_behind_the_end_have_no_influence(kind) -> None:
    outputs, target = made(kind)
    before = loss(kind, outputs, target)
    if kind in PER_CLIP:
        assert loss(kind, outputs, target, own=OWN - 2) == before
        return
    outputs[1, 3:], target[1, 3:] = outputs[1, :3], target[1, :3][::-1]
    assert loss(kind, outputs, target) == before
    outputs[1, 2] = np.roll(outputs[1, 2], 1)
    assert loss(kind, outputs, target) != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_2_is_the_clip_twice_and_of_0_not_at_all(kind) -> None:
    outputs, target = made(kind)
    order = [0, 1, 1, 2]
    twice = loss(kind, outputs[order], target[order], np.ones(4), OWN[order])
    assert loss(kind, outputs, target, [1, 2, 1]) == pytest.approx(twice, rel=1e-5)
    assert loss(kind, outputs, target, [1, 1, 1]) != pytest.approx(twice, rel=1e-3)
    order = [0, 2]
    assert loss(kind, outputs, target, [1, 0, 1]) == pytest.approx(
        loss(kind, outputs[order], target[order], [1, 1], OWN[order]), rel=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_labels_loss_and_gradient_are_0(kind) -> None:
    """Whatever stands in the places of labels: zeros, -1."""
    outputs, target = made(kind)
    outputs[0], own = 0.0, tf.constant(OWN)  # a logarithm of next to nothing
    for nothing in (np.zeros_like(target), np.full_like(target, -1)):
        variable = tf.Variable(outputs)
        with tf.GradientTape() as tape:
            value = head_kind(kind).loss(variable, tf.constant(nothing), tf.zeros(3), own)
        gradient = tape.gradient(value, variable, unconnected_gradients="zero")
        assert float(value) == 0.0 and not np.any(tf.convert_to_tensor(gradient))


def test_a_class_that_train_lacks_counts_in_no_mean() -> None:
    outputs, target = made("clip_class")
    target[1] = -1
    assert loss("clip_class", outputs, target) == pytest.approx(
        loss("clip_class", outputs, target, [1, 0, 0.5])
    )


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_each_head_has_its_shape(kind, by_key) -> None:
    inputs = [
        keras.Input((None, 9)),
        keras.Input((), dtype="int32"),
        keras.Input((None, 8)),
        keras.Input((None,), dtype="int32"),
    ]
    inputs += [keras.Input((None, KEYS, 2))]
    steps, lengths, *text, keys = inputs
    keys = keys if by_key else None
    out = head_kind(kind).output(
        "x", steps, lengths, classes=CLASSES, bands=BANDS, stride=1, text=text, keys=keys
    )
    model = keras.Model(inputs, out)

    def given(x, clips, n_steps):
        return [
            x((clips, n_steps, 9)),
            OWN[:clips],
            x((clips, 7, 8)),
            np.ones((clips, 7), np.int32),
            x((clips, n_steps, KEYS, 2)),
        ]

    random = np.random.default_rng(0)
    found = model(given(lambda shape: random.normal(size=shape), 3, STEPS)).numpy()
    assert found.shape == (3, *SHAPES[kind])
    wanted = "softmax" if kind in CATEGORICAL else "sigmoid" if kind in BINARY else ""
    assert head_kind(kind).ABOUT.activation == wanted  # of which these are the logits
    if kind == "notes":  # without input only the bias speaks: hardly any key sounds
        quiet = model(given(np.zeros, 1, 2)).numpy()
        assert np.allclose(quiet, np.log(RARE / (1 - RARE)), atol=1e-5)


def melody_notes(shares: np.ndarray, times: np.ndarray):
    """With steps that stand for these times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiomtl.families.multitask.heads.melody.step_times", lambda *_: times)
        return head_kind("melody").spans(None, Answer("", {}, None, shares, len(times)), (), None)


def shares(*keys: int) -> np.ndarray:
    return np.eye(KEYS + 1)[list(keys)]


def test_a_melody_leaves_out_rests_and_slips() -> None:
    """Steps of 20 ms: four are 80 ms, the shortest note."""
    times = np.arange(14) * 0.02
    found = melody_notes(shares(*[39] * 4, *[41] * 3, REST, *[41] * 6), times)
    assert [pitch for *_, pitch in found] == [60, 62]  # three steps of 41 are a slip
    # the first cannot begin before 0 s
    assert np.allclose([span[:2] for span in found], [[0, 0.07], [0.15, 0.27]])
    assert melody_notes(shares(*[REST] * 14), times) == []


def test_held_notes_begin_at_a_peak_and_last_while_held() -> None:
    rolls = np.zeros((12, 2 * KEYS))
    rolls[1:4, 39] = [0.6, 0.8, 0.7]
    rolls[2:8, KEYS + 39] = 0.9
    rolls[1:9, KEYS + 50] = 1.0  # held without an onset: no note
    rolls[5, 60], rolls[5:7, KEYS + 60] = 1.0, 1.0  # 40 ms: too short
    found = held_notes(rolls, np.arange(12) * 0.02 + 0.01, 0.5)
    assert len(found) == 1 and found[0] == pytest.approx((0.05, 0.17, 60))
    assert held_notes(rolls, np.arange(12) * 0.02, 0.85) == []
    rolls[6, 39] = 0.75  # struck again: another peak, more than two steps away
    again = held_notes(rolls, np.arange(12) * 0.02, 0.5)
    assert [note[0] for note in again] == pytest.approx([0.04])  # 40 ms are left of it, too short
    rolls[6:10, KEYS + 39] = 0.9
    assert np.allclose(held_notes(rolls, np.arange(12) * 0.02, 0.5), [(0.04, 0.12, 60), (0.12, 0.2, 60)])
