"""Losses and votes of several labels per clip: one sigmoid per class.

Conventions: targets (n, classes) are 0 or 1, or between where clips are mixed. Losses are (n,): the binary
cross-entropy, mean over classes.

Contents: `loss_of_logits`; `evaluate`, `predicted`, `majority_vote`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl.data.tags import THRESHOLD, held
from audiomtl.metrics import tags
from audiomtl.nn.losses import binary_cross_entropy, binary_log_loss


def loss_of_logits(logits: Any, targets: Any, positive: Any = 1.0) -> tf.Tensor:
    """From logits (n, classes), which loses no digits however sure the network is.

    ``positive`` (classes,) multiplies the loss of what is to be found.
    """
    return tf.reduce_mean(binary_cross_entropy(logits, targets, positive), axis=1)


def evaluate(
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    logits: np.ndarray | None = None,
    every_score: bool,
) -> dict[str, float]:
    """loss (binary cross-entropy, mean over clips and classes) and `tags.scores` of (clips, classes).

    The loss is that of the ``logits`` where there are any.
    """
    true, p = np.asarray(truth, np.float64), np.asarray(probabilities, np.float64)
    if logits is None:
        loss = float(np.mean(binary_log_loss(p, true)))
    else:
        z = np.asarray(logits, np.float64)
        loss = float(np.mean(true * np.logaddexp(0, -z) + (1 - true) * np.logaddexp(0, z)))
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
