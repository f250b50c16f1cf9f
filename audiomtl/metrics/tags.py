"""Scores of several labels per clip (tags): each class by itself against all clips, then the mean over
classes.

Conventions: ``truth`` (clips, classes) is 0 or 1, ``scores`` (clips, classes) are finite and higher where the
class is more likely; column k of both is class k. A class that all clips have, or none, has no ranking: it is
left out of every mean, and `scored` says which classes are in it.

Contents: `scores`; `scored`, `mean_average_precision`, `macro_roc_auc`, `macro_f1`, `by_class`,
`metric_name`.
"""

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from audiomtl.metrics import labels

MOST = 200  # classes with scores of their own: 2 scores * 2 sides * 200 = 800, and MLflow logs 1000 at once


def scores(
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    threshold: float,
    every_score: bool,
) -> dict[str, float]:
    """mean_average_precision, roc_auc and macro_f1 (means over the classes in `scored`), and with every score
    average_precision_CLASS and roc_auc_CLASS of each of them, up to `MOST`; {} where no class can be scored.
    """
    if not len(scored(truth)):
        return {}
    found = {
        "mean_average_precision": mean_average_precision(truth, probabilities),
        "roc_auc": macro_roc_auc(truth, probabilities),
        "macro_f1": macro_f1(truth, probabilities >= threshold),
    }
    every_score = every_score and len(scored(truth)) <= MOST
    for name, values in by_class(truth, probabilities, classes).items() if every_score else ():
        found |= {f"{score}_{metric_name(name)}": value for score, value in values.items()}
    return found


def scored(truth: np.ndarray) -> np.ndarray:  # (n,)
    """Numbers of the classes that some clips have and others have not, increasing."""
    positives = np.asarray(truth).sum(axis=0)
    return np.flatnonzero((positives > 0) & (positives < len(truth)))


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes in `scored` of the average precision; scikit-learn's macro average of these."""
    return _mean(labels.average_precision, truth, scores)


def macro_roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes in `scored` of the area under the receiver operating characteristic."""
    return _mean(labels.roc_auc, truth, scores)


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the classes in `scored` of 2 hits / (said + true); ``predicted`` (clips, classes) is 0 or
    1.
    """
    true, said = np.asarray(truth) > 0, np.asarray(predicted) > 0
    _check(true, said)
    hits, sizes = (true & said).sum(axis=0), true.sum(axis=0) + said.sum(axis=0)
    return float(np.mean([2 * hits[number] / sizes[number] for number in scored(true)]))


def by_class(truth: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each class in `scored` its ``average_precision`` and ``roc_auc``."""
    return {
        classes[number]: {
            "average_precision": labels.average_precision(truth[:, number], scores[:, number]),
            "roc_auc": labels.roc_auc(truth[:, number], scores[:, number]),
        }
        for number in scored(truth)
    }


def metric_name(name: str) -> str:
    """A class's name as part of the name of a score: MLflow takes letters, digits, spaces and ``_-.``.

    A name that had to be changed also gets eight characters of its hash, so that two never become one.
    """
    plain = re.sub(r"[^\w .-]", "_", name)[:100]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _mean(score: Callable[..., float], truth: np.ndarray, scores: np.ndarray) -> float:
    _check(truth, scores)
    columns = scored(truth)
    return float(np.mean([score(truth[:, number], scores[:, number]) for number in columns]))


def _check(truth: np.ndarray, scores: np.ndarray) -> None:
    if np.shape(truth) != np.shape(scores) or np.ndim(truth) != 2:
        raise ValueError(
            f"truth and scores must have one shape (clips, classes), but got {np.shape(truth)} and"
            f" {np.shape(scores)}"
        )
    if not len(scored(truth)):
        raise ValueError(
            f"truth must have a class that some of its {len(truth)} clips have and others have not"
        )
