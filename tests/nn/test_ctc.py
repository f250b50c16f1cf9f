"""The CTC loss against a sum over all alignments, against the dense op, and under padding, extreme logits
and bad targets.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from audiomtl.nn import ctc
from tests import warm


def batch(
    seed: int, *, items: int = 5, frames: int = 40, classes: int = 9, columns: int = 12, scale: float = 1.0
):
    """Random logits and labels with adjacent repeats; item 0 is full, the others are shorter."""
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(items, frames, classes)) * scale).astype(np.float32)
    labels = rng.integers(1, classes, (items, columns)).astype(np.int32)
    labels[:, 1] = labels[:, 0]
    frame_lengths = rng.integers(2 * columns, frames, items).astype(np.int32)
    label_lengths = rng.integers(2, columns, items).astype(np.int32)
    frame_lengths[0], label_lengths[0] = frames, columns
    return logits, frame_lengths, labels, label_lengths


def value_and_gradient(loss, logits, *lengths_and_labels):
    """Loss (batch,) and gradient (batch, frames, classes) of a weighted sum of it.

    The weights catch a lost upstream gradient.
    """
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = loss(logits, *map(tf.constant, lengths_and_labels))
        total = tf.reduce_sum(values * weights(len(logits)))
    return values.numpy(), tape.gradient(total, logits).numpy()


def weights(items: int) -> np.ndarray:
    return np.linspace(0.5, 1.5, items, dtype=np.float32)


def dense(logits, frame_lengths, labels, label_lengths):
    labels = tf.where(tf.sequence_mask(label_lengths, tf.shape(labels)[1]), labels, 0)
    return tf.nn.ctc_loss(
        labels, logits, label_lengths, frame_lengths, logits_time_major=False, blank_index=0
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def recursion(logits: np.ndarray, labels: list[int]) -> float:
    """One item's loss by the forward recursion of Graves et al.

    (2006), in float64 and logarithms, state by state.
    """
    log_probabilities = log_softmax(logits)
    states = [0] + [state for label in labels for state in (label, 0)]
    alpha = np.full(len(states), -np.inf)
    alpha[:2] = log_probabilities[0, states[:2]]
    for frame in log_probabilities[1:]:
        previous = alpha.copy()
        for s, state in enumerate(states):
            sources = [previous[s], *previous[max(s - 1, 0) : s]]
            if s >= 2 and state not in (0, states[s - 2]):
                sources.append(previous[s - 2])
            alpha[s] = np.logaddexp.reduce(sources) + frame[state]
    return -np.logaddexp.reduce(alpha[-2:])


@pytest.mark.parametrize("labels", [[], [1], [2, 1], [1, 1], [2, 2, 1], [1, 2, 1, 2, 1]])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_loss_and_gradient_are_the_sum_over_all_alignments(labels, scale):
    frames, classes = 5, 3
    logits = np.random.default_rng(3).normal(size=(1, frames, classes)).astype(np.float32) * scale
    log_probabilities = log_softmax(logits[0])
    paths = [
        path
        for path in itertools.product(range(classes), repeat=frames)
        if ctc.collapse(np.array(path), drop=(0,)) == labels
    ]
    scores = np.array([log_probabilities[np.arange(frames), path].sum() for path in paths])
    expected = -np.logaddexp.reduce(scores)
    posterior = np.zeros((frames, classes))
    for path, score in zip(paths, scores, strict=True):
        posterior[np.arange(frames), path] += np.exp(score + expected)

    padded = np.array([[*labels, 0]], np.int32)
    loss, gradient = value_and_gradient(
        ctc.ctc_loss, logits, np.array([frames]), padded, np.array([len(labels)])
    )
    assert loss == pytest.approx([expected], rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(
        gradient[0], weights(1)[0] * (np.exp(log_probabilities) - posterior), atol=2e-5
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0, 60.0])
def test_equal_to_the_dense_op(seed, scale):
    arguments = batch(seed, scale=scale)
    loss, gradient = value_and_gradient(ctc.ctc_loss, *arguments)
    expected, expected_gradient = value_and_gradient(dense, *arguments)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-2)


@pytest.mark.parametrize("scale", [15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 200.0, 1000.0])
def test_logits_of_any_scale_have_the_true_finite_loss(scale):
    """At 20-40 the classic kernel is finite and wrong, above it infinite.

    At 200 the dense op is wrong as well.
    """
    logits, frame_lengths, labels, label_lengths = batch(5, items=8, scale=scale)
    loss, gradient = value_and_gradient(ctc.ctc_loss, logits, frame_lengths, labels, label_lengths)
    expected = [
        recursion(x[:n], list(y[:m]))
        for x, n, y, m in zip(logits, frame_lengths, labels, label_lengths, strict=True)
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_scale_60_is_beyond_the_classic_kernel_so_that_the_guard_is_what_is_tested():
    logits, frame_lengths, labels, label_lengths = batch(5, scale=60.0)
    sparse = tf.sparse.from_dense(np.where(np.arange(labels.shape[1]) < label_lengths[:, None], labels, 0))
    assert np.isinf(
        tf.nn.ctc_loss(sparse, logits, None, frame_lengths, logits_time_major=False, blank_index=0)
    ).any()


def test_an_extreme_item_leaves_the_others_as_they_were():
    arguments = batch(1)
    loss, gradient = value_and_gradient(ctc.ctc_loss, *arguments)
    arguments[0][2] *= 60
    mixed_loss, mixed_gradient = value_and_gradient(ctc.ctc_loss, *arguments)
    expected, expected_gradient = value_and_gradient(dense, *arguments)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(mixed_loss[others], loss[others])
    np.testing.assert_array_equal(mixed_gradient[others], gradient[others])
    np.testing.assert_allclose(mixed_loss[2], expected[2], rtol=1e-5)
    np.testing.assert_allclose(mixed_gradient[2], expected_gradient[2], atol=1e-2)


@pytest.mark.parametrize("scale", [1.0, 60.0])
@pytest.mark.parametrize("garbage", [0.0, 1e4, np.inf, np.nan])
def test_padding_of_frames_and_labels_has_no_influence(scale, garbage):
    logits, frame_lengths, labels, label_lengths = batch(2, scale=scale)
    loss, gradient = value_and_gradient(ctc.ctc_loss, logits, frame_lengths, labels, label_lengths)
    frames, columns = logits.shape[1], labels.shape[1]
    logits = np.pad(logits, [(0, 0), (0, 33), (0, 0)], constant_values=garbage)
    logits[:, frames:, 3] = -garbage
    labels = np.pad(labels, [(0, 0), (0, 21)], constant_values=-7)
    for x, n, y, m in zip(logits, frame_lengths, labels, label_lengths, strict=True):
        x[n:] = x[-1]
        y[m:columns] = 99
    padded_loss, padded_gradient = value_and_gradient(
        ctc.ctc_loss, logits, frame_lengths, labels, label_lengths
    )
    np.testing.assert_allclose(padded_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(padded_gradient[:, :frames], gradient, rtol=1e-5, atol=1e-6)
    for item, n in zip(padded_gradient, frame_lengths, strict=True):
        assert np.any(item[n - 1] != 0) and np.all(item[n:] == 0)  # exactly


@pytest.mark.parametrize("columns", [0, 3])
def test_an_empty_label_costs_the_blanks(columns):
    logits, frame_lengths, labels, _ = batch(4, columns=12)
    frame_lengths[3] = 0
    loss, gradient = value_and_gradient(
        ctc.ctc_loss, logits, frame_lengths, labels[:, :columns], np.zeros(5, np.int32)
    )
    blanks = np.where(np.arange(40) < frame_lengths[:, None], log_softmax(logits)[:, :, 0], 0)
    np.testing.assert_allclose(loss, -blanks.sum(axis=1), rtol=1e-5)
    assert loss[3] == 0 and np.all(gradient[3] == 0)
    np.testing.assert_allclose(
        gradient[0], weights(5)[0] * (np.exp(log_softmax(logits[0])) - np.eye(9)[0]), atol=1e-5
    )


def test_an_empty_label_among_others_leaves_them_as_they_were():
    logits, frame_lengths, labels, label_lengths = batch(4)
    loss, gradient = value_and_gradient(ctc.ctc_loss, logits, frame_lengths, labels, label_lengths)
    label_lengths[2] = 0
    mixed_loss, mixed_gradient = value_and_gradient(
        ctc.ctc_loss, logits, frame_lengths, labels, label_lengths
    )
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(mixed_loss[others], loss[others])
    np.testing.assert_array_equal(mixed_gradient[others], gradient[others])
    assert mixed_loss[2] == pytest.approx(-log_softmax(logits[2, : frame_lengths[2]])[:, 0].sum(), rel=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f, y, n: (f.__setitem__(3, 3), n.__setitem__(3, 4)),
            r"labels \+ adjacent repeats <= frames must hold.*\[3\]",
        ),
        # a repeat
        (
            lambda f, y, n: (f.__setitem__(1, 4), n.__setitem__(1, 4)),
            r"labels \+ adjacent repeats <= frames must hold.*\[1\]",
        ),
        (lambda f, y, n: f.__setitem__(2, 41), r"0 <= frame_lengths <= frames must hold.*\[2\]"),
        (
            lambda f, y, n: n.__setitem__([0, 4], 13),
            r"0 <= label_lengths <= columns of labels must hold.*\[0 4\]",
        ),
        (lambda f, y, n: y.__setitem__((4, 0), 9), r"0 < labels < classes must hold.*\[4\]"),
        (lambda f, y, n: y.__setitem__((0, 1), 0), r"0 < labels < classes must hold.*\[0\]"),
    ],
)
def test_impossible_targets_are_refused_by_batch_position(change, message, wrap):
    logits, frame_lengths, labels, label_lengths = batch(6)
    change(frame_lengths, labels, label_lengths)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)" + message):
        wrap(ctc.ctc_loss)(logits, frame_lengths, labels, label_lengths)


def test_a_batch_without_frames_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="no frames"):
        ctc.ctc_loss(np.zeros((1, 0, 3), np.float32), [0], np.zeros((1, 2), np.int32), [0])


def test_just_enough_frames_are_enough():
    logits = np.random.default_rng(0).normal(size=(1, 5, 4)).astype(np.float32)
    loss = ctc.ctc_loss(logits, [5], [[2, 2, 1, 1]], [3])  # 2 - 2 1 and one frame more
    assert loss.numpy() == pytest.approx([recursion(logits[0], [2, 2, 1])], rel=1e-5)


def test_one_function_of_unknown_dimensions_serves_every_batch():
    traces = []

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, None), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
        ]
    )
    def gradient(logits, frame_lengths, labels, label_lengths):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = ctc.ctc_loss(logits, frame_lengths, labels, label_lengths)
            total = tf.reduce_sum(loss * tf.linspace(0.5, 1.5, tf.shape(loss)[0]))
        return loss, tape.gradient(total, logits)

    for sizes in ({}, {"items": 2, "frames": 50, "classes": 4, "columns": 7}, {"scale": 60.0}):
        arguments = batch(7, **sizes)
        expected_loss, expected_gradient = value_and_gradient(ctc.ctc_loss, *arguments)
        loss, logits_gradient = gradient(*arguments)
        np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
        np.testing.assert_allclose(logits_gradient, expected_gradient, atol=1e-5)
    assert len(traces) == 1


def test_nan_logits_give_a_nan_loss_of_their_item_only():
    logits, frame_lengths, labels, label_lengths = batch(8)
    logits[1, 3, 2] = np.nan
    loss = ctc.ctc_loss(logits, frame_lengths, labels, label_lengths).numpy()
    assert np.flatnonzero(np.isnan(loss)).tolist() == [1]


DETERMINISTIC = """
import sys, hashlib
import numpy as np, tensorflow as tf
tf.config.experimental.enable_op_determinism()
tf.keras.utils.set_random_seed(1)
from audiomtl.nn import ctc
rng = np.random.default_rng(0)
digest = hashlib.sha256()
for scale in (1, 60):
    logits = tf.Variable((rng.normal(size=(6, 50, 10)) * scale).astype("float32"))
    labels, frames = rng.integers(1, 10, (6, 20)).astype("int32"), rng.integers(0, 10, (6, 50)).astype("int32")
    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(ctc.ctc_loss(logits, [50] * 6, labels, [20, 19, 5, 0, 7, 20]) + ctc.frames_loss(logits, [50] * 6, frames))
        return loss, tape.gradient(loss, logits)
    for part in step():
        digest.update(part.numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_runs_and_repeats_under_op_determinism(tmp_path):
    """In processes of their own: the switch cannot be turned off again."""
    both = [warm.start([], tmp_path, warm.ENVIRONMENT, DETERMINISTIC) for _ in range(2)]
    first, second = (process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0], first[-2000:]
    assert len(first.split()[-1]) == 64 and first.split()[-1] == second.split()[-1]


def test_frames_loss_is_the_mean_cross_entropy_of_valid_frames():
    logits, frame_lengths, _, _ = batch(9)
    truth = np.random.default_rng(1).integers(0, 9, logits.shape[:2]).astype(np.int32)
    loss, gradient = value_and_gradient(ctc.frames_loss, logits, frame_lengths, truth)
    picked = np.take_along_axis(log_softmax(logits), truth[:, :, None], axis=2)[:, :, 0]  # (batch, frames)
    np.testing.assert_allclose(
        loss, [-row[:n].mean() for row, n in zip(picked, frame_lengths, strict=True)], rtol=1e-5
    )
    expected = np.exp(log_softmax(logits)) - np.eye(9)[truth]
    expected *= (np.arange(40) < frame_lengths[:, None])[:, :, None] * (weights(5) / frame_lengths)[
        :, None, None
    ]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("garbage", [1e4, np.inf, np.nan])
def test_frames_loss_ignores_padding(garbage):
    logits, frame_lengths, _, _ = batch(9)
    frame_lengths[4] = 0
    truth = np.ones(logits.shape[:2], np.int32)
    loss, gradient = value_and_gradient(ctc.frames_loss, logits, frame_lengths, truth)
    padded = np.pad(logits, [(0, 0), (0, 20), (0, 0)], constant_values=garbage)
    truth = np.pad(truth, [(0, 0), (0, 20)], constant_values=-5)
    for x, y, n in zip(padded, truth, frame_lengths, strict=True):
        x[n:], y[n:] = garbage, 1000
    padded_loss, padded_gradient = value_and_gradient(ctc.frames_loss, padded, frame_lengths, truth)
    np.testing.assert_allclose(padded_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(padded_gradient[:, :40], gradient, atol=1e-7)
    assert np.all(padded_gradient[:, 40:] == 0) and loss[4] == 0


@pytest.mark.parametrize(
    ("labels", "needed"), [([], 0), ([3], 1), ([1, 2], 2), ([1, 1], 3), ([2, 2, 2, 1], 6), ([1, 2, 1], 3)]
)
def test_frames_needed_are_those_the_loss_accepts(labels, needed):
    assert ctc.frames_needed(labels) == needed == ctc.frames_needed(np.array(labels, int))
    assert ctc.feasible(needed, labels) and not ctc.feasible(needed - 1, labels)
    paths = itertools.product(range(4), repeat=needed)
    assert any(ctc.collapse(np.array(path, int), drop=(0,)) == labels for path in paths)
    paths = itertools.product(range(4), repeat=max(needed - 1, 0))
    assert needed == 0 or not any(ctc.collapse(np.array(path, int), drop=(0,)) == labels for path in paths)


@pytest.mark.parametrize(
    ("frames", "drop", "symbols"),
    [
        ([], (), []),
        ([2, 2, 2], (), [2]),
        ([0, 1, 1, 0, 1, 3, 3, 0], (0,), [1, 1, 3]),
        ([5, 1, 1, 5, 2], (5,), [1, 2]),
        ([1, 1, 0, 5], (), [1, 0, 5]),
        ([1, 0, 5, 1], (0, 5), [1, 1]),
    ],
)
def test_collapse(frames, drop, symbols):
    assert ctc.collapse(np.array(frames, int), drop) == symbols


def test_greedy_decode_reads_valid_frames_only():
    best = np.array([[0, 2, 2, 0, 2, 1], [1, 1, 0, 0, 3, 3], [0, 0, 0, 0, 0, 1]])
    scores = np.eye(4)[best]
    assert ctc.greedy_decode(scores, np.array([6, 4, 5])) == [[2, 2, 1], [1], []]
    assert ctc.greedy_decode(scores * 50 - 20, np.array([5, 6, 0])) == [[2, 2], [1, 3], []]
    assert ctc.blank_share(scores, np.array([6, 4, 5])) == pytest.approx((2 + 2 + 5) / 15)
    assert ctc.blank_share(scores, np.array([0, 0, 5])) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ctc.greedy_decode(np.zeros((2, 3)), np.array([3, 3])), r"but got \(2, 3\) and \(2,\)"),
        (lambda: ctc.greedy_decode(np.zeros((2, 3, 4)), np.array([3])), r"but got \(2, 3, 4\) and \(1,\)"),
        (
            lambda: ctc.greedy_decode(np.zeros((2, 3, 4)), np.array([3, 4])),
            r"0 <= frame_lengths <= 3 frames must hold, but got \[3, 4\]",
        ),
        (lambda: ctc.blank_share(np.zeros((1, 3, 4)), np.array([0])), "no frame of the batch is valid"),
        (lambda: ctc.collapse(np.zeros((2, 3), int)), "one dimension"),
    ],
)
def test_bad_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
