"""The case of the question "CTC model does not learn": on log spectra in dB a network says nothing, on the
same ones in [-1, 1] it learns.

The question's network, small: bidirectional LSTM, softmax, SGD 0.02 with Nesterov momentum 0.9 and clipnorm
5, no scaling of its input, whose values lie around -70 dB. The answer: the loss finds that blanks are
frequent long before the LSTM has moved its input weights and biases to such values, and stays there; scale
each spectrogram to [-1, 1]. Source: stackoverflow.com, "CTC model does not learn" (Keras, German sentences).
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.metrics import sequences
from audiomtl.nn import ctc

PHONES, BANDS, FRAMES = 12, 40, 120
BATCH = 16


def spectra(
    seed: int, clips: int, patterns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Random phone sequences, each phone held for 6-12 frames of its own log spectrum: features in dB,
    and what `ctc.ctc_loss` takes.
    """
    rng = np.random.default_rng(seed)
    features = np.full((clips, FRAMES, BANDS), -70.0, np.float32)  # (clips, frames, bands)
    labels = np.zeros((clips, 12), np.int32)
    frame_lengths, label_lengths = np.zeros(clips, np.int32), np.zeros(clips, np.int32)
    for clip in range(clips):
        # Steps of 1..11 around the circle of 12: no phone twice in a row. At most 10 phones of 12 frames: 120
        # frames.
        phones = np.cumsum(rng.integers(1, PHONES, rng.integers(6, 11))) % PHONES
        y = np.repeat(patterns[phones], rng.integers(6, 13, len(phones)), axis=0)  # (frames, bands)
        y = y + rng.normal(0, 3, y.shape) + rng.normal(0, 3)  # noise, and the clip's own level
        features[clip, : len(y)] = y
        labels[clip, : len(phones)] = phones + 1
        frame_lengths[clip], label_lengths[clip] = len(y), len(phones)
    return features, frame_lengths, labels, label_lengths


def minmax(features: np.ndarray, frame_lengths: np.ndarray) -> np.ndarray:
    """Each clip's valid frames to [-1, 1], as in the answer."""
    scaled = np.zeros_like(features)
    for out, x, n in zip(scaled, features, frame_lengths, strict=True):
        out[:n] = 2 * (x[:n] - x[:n].min()) / (x[:n].max() - x[:n].min()) - 1
    return scaled


def train_and_score(scaled: bool, steps: int) -> tuple[float, float]:
    """Phone error rate and share of blanks on held-out clips after these steps."""
    keras.utils.set_random_seed(0)
    patterns = np.random.default_rng(1).normal(-70, 12, (PHONES, BANDS))  # dB
    train, held_out = spectra(2, 320, patterns), spectra(3, 64, patterns)
    if scaled:
        train, held_out = ((minmax(x[0], x[1]), *x[1:]) for x in (train, held_out))
    network = keras.Sequential(
        [
            keras.Input((None, BANDS)),
            keras.layers.Bidirectional(keras.layers.LSTM(48, return_sequences=True)),
            keras.layers.Dense(PHONES + 1),
        ]
    )
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True, clipnorm=5.0)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(features, frame_lengths, labels, label_lengths):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                ctc.ctc_loss(network(features, training=True), frame_lengths, labels, label_lengths)
            )
        optimizer.apply_gradients(
            zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables, strict=True)
        )
        return loss

    order = np.random.default_rng(4)
    for _ in range(steps):
        rows = order.choice(len(train[0]), BATCH, replace=False)
        assert np.isfinite(step(*(tf.constant(x[rows]) for x in train)))

    features, frame_lengths, labels, label_lengths = held_out
    logits = network(features).numpy()
    truth = [[str(phone) for phone in row[:n]] for row, n in zip(labels, label_lengths, strict=True)]
    predicted = [[str(phone) for phone in row] for row in ctc.greedy_decode(logits, frame_lengths)]
    return sequences.error_rate(truth, predicted), ctc.blank_share(logits, frame_lengths)


@pytest.mark.slow
def test_raw_decibels_never_leave_the_blank():
    error, blanks = train_and_score(scaled=False, steps=400)
    assert error >= 0.95 and blanks >= 0.98, (error, blanks)


@pytest.mark.slow
def test_the_same_spectra_in_minus_one_to_one_are_learnt():
    error, blanks = train_and_score(scaled=True, steps=200)
    assert error <= 0.05 and blanks < 0.98, (error, blanks)


def test_the_case_is_the_published_one():
    """Held-out clips are others than the training clips; the values lie where the question's did."""
    patterns = np.random.default_rng(1).normal(-70, 12, (PHONES, BANDS))
    train, held_out = spectra(2, 320, patterns), spectra(3, 64, patterns)
    assert abs(held_out[0].mean() + 70) < 2 and held_out[0].max() < 0
    assert not {row.tobytes() for row in train[0]} & {row.tobytes() for row in held_out[0]}
    assert all(ctc.feasible(n, y[:m]) for _, n, y, m in zip(*train, strict=True))
