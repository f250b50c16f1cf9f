"""Losses and votes of several labels per clip: one sigmoid per class.

Conventions: targets (n, classes) are 0 or 1, or between where clips are mixed. Losses are (n,): the binary
cross-entropy, mean over classes.

Contents: `loss_of_logits`, `loss_of_probabilities`; `evaluate`, `predicted`, `majority_vote`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl.data.tags import THRESHOLD, held
from audiomtl.metrics import tags
from audiomtl.nn.softmax import SMALLEST


def loss_of_logits(logits: Any, targets: Any, positive: Any = 1.0) -> tf.Tensor:
    """From logits (n, classes), which loses no digits however sure the network is.

    ``positive`` (classes,) multiplies the loss of what is to be found.
    """
    targets = tf.cast(targets, tf.float32)
    each = tf.nn.weighted_cross_entropy_with_logits(targets, logits, positive)
    return tf.reduce_mean(each, axis=1)


def loss_of_probabilities(probabilities: Any, targets: Any, positive: Any = 1.0) -> tf.Tensor:
    """From probabilities (n, classes), where a pooling leaves no logits."""
    targets = tf.cast(targets, tf.float32)
    likely = positive * targets * tf.math.log(probabilities + SMALLEST)
    likely += (1 - targets) * tf.math.log(1 - probabilities + SMALLEST)
    return -tf.reduce_mean(likely, axis=1)


def evaluate(
    truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], *, every_score: bool
) -> dict[str, float]:
    """loss (binary cross-entropy, mean over clips and classes) and `tags.scores` of (clips, classes)."""
    true, p = np.asarray(truth, np.float64), np.asarray(probabilities, np.float64)
    loss = -float(np.mean(true * np.log(p + SMALLEST) + (1 - true) * np.log(1 - p + SMALLEST)))
    return {"loss": loss} | tags.scores(true, p, classes, threshold=THRESHOLD, every_score=every_score)


def predicted(truth: Any, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, list[str]]:
    """``truth`` and ``predicted``, lists of classes, from rows (classes,)."""
    return {"truth": held(classes, truth), "predicted": held(classes, probabilities)}


def majority_vote(probabilities: np.ndarray) -> np.ndarray:  # (classes,)
    """For evaluation only: the share of windows (n, classes) in which a class holds.

    Ties go to the greater mean probability, which is added at a weight too small to overturn a vote.
    """
    votes = (probabilities >= THRESHOLD).mean(axis=0)
    share = 0.1 / len(probabilities)
    return (1 - share) * votes + share * probabilities.mean(axis=0, dtype=np.float64)
