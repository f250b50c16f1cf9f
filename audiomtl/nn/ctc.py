"""Connectionist temporal classification: the loss with lengths, the audit of its targets, and greedy
decoding.

Conventions: class 0 is the blank, as everywhere in Keras 3; the classes 1..n are symbols. Batches are (batch,
frames, classes) and (batch, labels), padded at the end with anything; ``frame_lengths`` and ``label_lengths``
(batch,) count what is valid, and nothing behind them has any influence. Losses are negative log likelihoods
in nats, one per item, not divided by any length.

The loss runs TensorFlow's classic CPU kernel, about ten times cheaper than the dense op that
``keras.losses.CTC`` runs (``benchmarks/ctc_loss.py``). That kernel takes the logarithm of float32
probabilities: where one of them underflows it loses paths, and then gives infinity or, worse, a finite value
that is too large (logits of scale 30: 1237 for 1197). Such items, and empty labels, which it refuses, are
computed by `_exact` instead. The dense op is no help there: it stands for "impossible" by -707, and so is
wrong in its own way for logits of scale 200, and gives about 710 for labels that do not fit into the frames.

Contents: `ctc_loss`, `frames_loss` (TensorFlow); `frames_needed`, `feasible`, `collapse`, `greedy_decode`,
`blank_share` (NumPy).
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

BLANK = 0
# exp(-80) = 1.8e-35; below 1.2e-38 = exp(-87.3) float32 loses digits, then everything
LOWEST_LOG_PROBABILITY = -80.0


def ctc_loss(
    logits: tf.Tensor, frame_lengths: tf.Tensor, labels: tf.Tensor, label_lengths: tf.Tensor
) -> tf.Tensor:
    """Negative log likelihood of each label sequence, summed over all its alignments (Graves et al., 2006,
    equations 5-8 and 14-16).

    Differentiable once, with respect to ``logits``; usable in a ``tf.function`` with unknown dimensions,
    under ``tf.config.experimental.enable_op_determinism``, but not under XLA, which has no such kernel.
    Padding gets a gradient of exactly zero. NaN among the valid logits gives a NaN loss.

    Parameters
    ----------
    logits : tensor (batch, frames, classes), float
        Unnormalised; class 0 is the blank.
    frame_lengths : tensor (batch,), int
        Valid frames of each item.
    labels : tensor (batch, labels), int
        Symbols 1..classes - 1; padding may be anything.
    label_lengths : tensor (batch,), int
        Valid labels of each item; 0 is allowed (all frames blank).

    Returns
    -------
    tensor (batch,), float32

    Raises
    ------
    tf.errors.InvalidArgumentError
        Naming the positions in the batch: a length outside its padded dimension, a label outside 1..classes -
        1, or labels that need more frames than there are (`frames_needed`). There is no alignment then, and
        no finite loss.
    """
    logits = tf.cast(logits, tf.float32)
    labels = tf.cast(labels, tf.int32)
    frame_lengths, label_lengths = tf.cast(frame_lengths, tf.int32), tf.cast(label_lengths, tf.int32)
    with tf.control_dependencies(_checks(logits, frame_lengths, labels, label_lengths)):
        labels = tf.where(tf.sequence_mask(label_lengths, tf.shape(labels)[1]), labels, BLANK)
        # never without a column; classes 0 behind the lengths from here on
        labels = tf.pad(labels, [[0, 0], [0, 1]])
    return _loss(logits, frame_lengths, labels, label_lengths)


def _checks(
    logits: tf.Tensor, frame_lengths: tf.Tensor, labels: tf.Tensor, label_lengths: tf.Tensor
) -> list[tf.Operation | None]:
    """Assertions on the batch (None each in eager mode, where they have already run)."""
    frames, classes, columns = tf.shape(logits)[1], tf.shape(logits)[2], tf.shape(labels)[1]
    valid = tf.sequence_mask(label_lengths, columns)  # (batch, labels)
    # (batch,)
    repeats = tf.reduce_sum(tf.cast(valid[:, 1:] & (labels[:, 1:] == labels[:, :-1]), tf.int32), axis=1)

    def check(bad: tf.Tensor, rule: str) -> tf.Operation | None:
        message = tf.strings.format(
            f"CTC: {rule}; wrong at batch positions {{}}", tf.where(bad)[:, 0], summarize=10
        )
        return tf.debugging.Assert(~tf.reduce_any(bad), [message])

    return [
        check((frame_lengths < 0) | (frame_lengths > frames), "0 <= frame_lengths <= frames must hold"),
        check(
            (label_lengths < 0) | (label_lengths > columns),
            "0 <= label_lengths <= columns of labels must hold",
        ),
        check(
            tf.reduce_any(valid & ((labels <= BLANK) | (labels >= classes)), axis=1),
            "0 < labels < classes must hold (0 is the blank)",
        ),
        check(label_lengths + repeats > frame_lengths, "labels + adjacent repeats <= frames must hold"),
        tf.debugging.Assert(frames > 0, ["CTC: the batch has no frames"]),
    ]


@tf.custom_gradient
def _loss(
    logits: tf.Tensor, frame_lengths: tf.Tensor, labels: tf.Tensor, label_lengths: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None, None]]]:
    """`ctc_loss` of checked input, labels padded with at least one 0.

    Both ways of computing it give the gradient with the value.
    """
    log_probabilities = tf.nn.log_softmax(logits)  # (batch, frames, classes)
    valid = tf.sequence_mask(frame_lengths, tf.shape(logits)[1])[:, :, None]  # (batch, frames, 1)
    lowest = tf.reduce_min(tf.where(valid, log_probabilities, 0.0), axis=1)  # (batch, classes)
    # (batch,) of those in use
    lowest = tf.minimum(lowest[:, BLANK], tf.reduce_min(tf.gather(lowest, labels, batch_dims=1), axis=1))
    # (batch,); NaN stays NaN in both ways
    delicate = (lowest < LOWEST_LOG_PROBABILITY) | (label_lengths == 0)

    def some_exact() -> tuple[tf.Tensor, tf.Tensor]:
        loss, gradient = _sparse(
            tf.where(delicate[:, None, None], 0.0, logits), frame_lengths, labels, label_lengths
        )
        rows = tf.where(delicate)  # (items, 1)
        items = [tf.gather_nd(x, rows) for x in (log_probabilities, frame_lengths, labels, label_lengths)]
        exact_loss, exact_gradient = _exact(*items)
        return tf.tensor_scatter_nd_update(loss, rows, exact_loss), tf.tensor_scatter_nd_update(
            gradient, rows, exact_gradient
        )

    loss, gradient = tf.cond(
        tf.reduce_any(delicate), some_exact, lambda: _sparse(logits, frame_lengths, labels, label_lengths)
    )
    gradient = tf.raw_ops.PreventGradient(input=gradient, message="ctc_loss has no second derivative")
    return loss, lambda upstream: (upstream[:, None, None] * gradient, None, None, None)


def _sparse(
    logits: tf.Tensor, frame_lengths: tf.Tensor, labels: tf.Tensor, label_lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Loss (batch,) and gradient (batch, frames, classes) by the classic kernel, where every relevant
    probability is above 0.
    """
    # The kernel refuses empty labels: give such items one label and one frame. Their result is not used.
    labels = tf.concat([tf.maximum(labels[:, :1], 1), labels[:, 1:]], axis=1)
    indices = tf.where(tf.sequence_mask(tf.maximum(label_lengths, 1), tf.shape(labels)[1]))  # (all labels, 2)
    blank_last = tf.concat([logits[:, :, 1:], logits[:, :, :1]], axis=2)
    loss, gradient = tf.raw_ops.CTCLoss(
        inputs=tf.transpose(blank_last, [1, 0, 2]),  # (frames, batch, classes)
        labels_indices=indices,
        labels_values=tf.gather_nd(labels, indices) - 1,
        sequence_length=tf.maximum(frame_lengths, 1),
    )
    gradient = tf.transpose(gradient, [1, 0, 2])
    return loss, tf.concat([gradient[:, :, -1:], gradient[:, :, :-1]], axis=2)


def _exact(
    log_probabilities: tf.Tensor, frame_lengths: tf.Tensor, labels: tf.Tensor, label_lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Loss (items,) and gradient (items, frames, classes) by recursions over logarithms in float64: any
    scale, and empty labels.
    """
    frames, classes, columns = (
        tf.shape(log_probabilities)[1],
        tf.shape(log_probabilities)[2],
        tf.shape(labels)[1],
    )
    n_states = 2 * label_lengths + 1
    # blank, label, blank, label ...
    states = tf.reshape(tf.stack([tf.zeros_like(labels), labels], axis=2), [-1, 2 * columns])
    states = tf.pad(states, [[0, 0], [0, 1]])  # (items, states), the last one a blank again
    valid_frame = tf.sequence_mask(frame_lengths, frames)  # (items, frames)
    log_probabilities = tf.where(valid_frame[:, :, None], tf.cast(log_probabilities, tf.float64), 0.0)
    emissions = tf.gather(log_probabilities, states, axis=2, batch_dims=1)  # (items, frames, states)

    # Backwards in time and label order is the same recursion, so one function does both; valid frames come
    # first either way.
    def flip(x: tf.Tensor) -> tf.Tensor:
        return tf.reverse_sequence(tf.reverse_sequence(x, n_states, seq_axis=2), frame_lengths, seq_axis=1)

    forward = _forward(emissions, states)
    # both include the frame's emission
    backward = flip(_forward(flip(emissions), tf.reverse_sequence(states, n_states, seq_axis=1)))
    # (items, frames, states)
    passing = forward + tf.where(tf.math.is_inf(emissions), emissions, backward - emissions)
    passing = tf.where(tf.sequence_mask(n_states, 2 * columns + 1)[:, None, :], passing, -np.inf)
    # (items,); every path passes one state of the first frame (0 if there is none)
    total = tf.reduce_logsumexp(passing[:, 0], axis=1)

    # (items, frames, classes)
    occupancy = tf.exp(passing - total[:, None, None]) @ tf.one_hot(states, classes, dtype=tf.float64)
    gradient = tf.where(valid_frame[:, :, None], tf.exp(log_probabilities) - occupancy, 0.0)
    return tf.cast(-total, tf.float32), tf.cast(gradient, tf.float32)


def _forward(emissions: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
    """Log probability of all paths from the start to each state of each frame, (items, frames, states)."""

    def shifted(x: tf.Tensor, by: int) -> tf.Tensor:
        return tf.pad(x, [[0, 0], [by, 0]], constant_values=-np.inf)[:, : tf.shape(x)[1]]

    # A path may leave out the blank between two different labels.
    before = tf.pad(states, [[0, 0], [2, 0]])[:, : tf.shape(states)[1]]
    skip = tf.where((states != BLANK) & (states != before), tf.zeros([], tf.float64), -np.inf)
    start = tf.where(tf.range(tf.shape(states)[1])[None, :] == 0, tf.zeros_like(emissions[:, 0]), -np.inf)

    def step(previous: tf.Tensor, emission: tf.Tensor) -> tf.Tensor:
        return (
            tf.reduce_logsumexp(
                tf.stack([previous, shifted(previous, 1), shifted(previous, 2) + skip]), axis=0
            )
            + emission
        )

    return tf.transpose(tf.scan(step, tf.transpose(emissions, [1, 0, 2]), start), [1, 0, 2])


def frames_loss(logits: tf.Tensor, frame_lengths: tf.Tensor, frame_labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each item's frames with labels in time, mean over its valid frames: the framewise
    sibling of `ctc_loss`.

    Parameters
    ----------
    logits : tensor (batch, frames, classes), float
    frame_lengths : tensor (batch,), int
    frame_labels : tensor (batch, frames), int
        Class of each frame, 0..classes - 1; padding may be anything.

    Returns
    -------
    tensor (batch,), float32; 0 for an item without frames
    """
    valid = tf.sequence_mask(frame_lengths, tf.shape(logits)[1])  # (batch, frames)
    # Padding is replaced before the loss: garbage there would turn 0 * NaN of the gradient into NaN.
    logits = tf.where(valid[:, :, None], tf.cast(logits, tf.float32), 0.0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.where(valid, tf.cast(frame_labels, tf.int32), 0), logits
    )
    valid = tf.cast(valid, tf.float32)
    return tf.reduce_sum(losses * valid, axis=1) / tf.maximum(tf.reduce_sum(valid, axis=1), 1.0)


def frames_needed(labels: Sequence[int] | np.ndarray) -> int:
    """Fewest frames that hold these labels: one each, and a blank between adjacent equal ones."""
    labels = np.asarray(labels)
    return int(len(labels) + np.sum(labels[1:] == labels[:-1]))


def feasible(n_frames: int, labels: Sequence[int] | np.ndarray) -> bool:
    """Whether the labels have any alignment in so many frames; `ctc_loss` refuses items that have none."""
    return n_frames >= frames_needed(labels)


def collapse(frames: np.ndarray, drop: Sequence[int] = ()) -> list[int]:
    """Runs of equal frames to one symbol each; then the symbols in ``drop`` are left out (after: blanks part
    equal symbols).

    Parameters
    ----------
    frames : array (frames,), int
        Class of each frame.
    drop : sequence of int
        Classes that are no symbols: the blank, a pause.
    """
    frames = np.asarray(frames)
    if frames.ndim != 1:
        raise ValueError(
            f"frames must have one dimension, but got shape {frames.shape}: give one item at a time"
        )
    begins = np.ones(len(frames), bool)
    begins[1:] = frames[1:] != frames[:-1]
    return [int(symbol) for symbol in frames[begins] if symbol not in drop]


def greedy_decode(scores: np.ndarray, frame_lengths: np.ndarray) -> list[list[int]]:
    """Best class of each valid frame, repeats collapsed, blanks dropped.

    Parameters
    ----------
    scores : array (batch, frames, classes)
        Logits or probabilities (any monotonic score).
    frame_lengths : array (batch,), int

    Returns
    -------
    list of batch lists of symbols (1..classes - 1)
    """
    return [collapse(frames, drop=(BLANK,)) for frames in _best(scores, frame_lengths)]


def blank_share(scores: np.ndarray, frame_lengths: np.ndarray) -> float:
    """Fraction of valid frames of the batch whose best class is the blank; 1.0 if the network outputs
    only blanks.

    Takes what `greedy_decode` takes. ValueError where the batch has no valid frame.
    """
    best = np.concatenate([*_best(scores, frame_lengths), np.zeros(0, int)])
    if not len(best):
        raise ValueError("frame_lengths must have a value above 0, but no frame of the batch is valid")
    return float(np.mean(best == BLANK))


def _best(scores: np.ndarray, frame_lengths: np.ndarray) -> list[np.ndarray]:
    """Best class of each valid frame, one array per item."""
    scores, frame_lengths = np.asarray(scores), np.asarray(frame_lengths)
    if scores.ndim != 3 or frame_lengths.shape != scores.shape[:1]:
        raise ValueError(
            f"shapes (batch, frames, classes) and (batch,) must hold, but got {scores.shape} and"
            f" {frame_lengths.shape}"
        )
    if np.any((frame_lengths < 0) | (frame_lengths > scores.shape[1])):
        raise ValueError(
            f"0 <= frame_lengths <= {scores.shape[1]} frames must hold, but got {frame_lengths.tolist()}"
        )
    return [best[:n] for best, n in zip(scores.argmax(axis=2), frame_lengths, strict=True)]
