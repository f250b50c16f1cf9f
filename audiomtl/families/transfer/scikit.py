"""scikit-learn heads: a classifier on the mean of a clip's patches; of several labels per clip one for each.

Conventions as in `model`. Contents: `fitted`, `forward`, `linear`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from audiomtl.nn import classifiers
from audiomtl.settings.classifier import Classifier

SURE = 16.0  # logit of a tag that all train clips have: a probability of 1 - 1e-7


def fitted(
    chosen: Classifier,
    rows: np.ndarray,
    truth: np.ndarray,
    seed: int,
    *,
    several: bool,
    balanced: bool = False,
    weights: np.ndarray | None = None,
) -> Any:
    """The fitted pipeline; with ``several`` a list of them."""
    fit = classifiers.fit_tag_classifiers if several else classifiers.fit_classifier
    return fit(chosen, rows, truth, seed, balanced=balanced, weights=weights)


def forward(pipeline: Any, *, several: bool) -> Callable[[Any, Any], dict[str, Any]]:
    """The function of patches (n_patches, size) and counts (bags,) that a network would be."""
    probabilities = classifiers.tag_probabilities if several else classifiers.class_probabilities

    def answers(patches: Any, counts: Any) -> dict[str, Any]:
        parts = np.split(np.asarray(patches, np.float64), np.cumsum(counts)[:-1])
        weights = np.zeros((len(parts), max(len(part) for part in parts), 1), np.float32)
        for bag, part in enumerate(parts):
            weights[bag, : len(part)] = 1 / len(part)
        return {
            "clip": probabilities(pipeline, np.stack([part.mean(axis=0) for part in parts])),
            "patches": probabilities(pipeline, np.concatenate(parts)),
            "weights": weights,
        }

    return answers


def linear(pipeline: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of logistic regression the mean and deviation of its scaler (size,), and kernel (size, classes) and
    bias (classes,) of a dense layer with its answers.
    """
    if not isinstance(pipeline, list):
        scaler, classifier = pipeline[0], pipeline[-1]
        kernel, bias = classifier.coef_.T, classifier.intercept_
        if kernel.shape[1] == 1:  # two classes: their logits are half apart on each side of 0
            kernel, bias = np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
        return scaler.mean_, scaler.scale_, kernel, bias
    scaler = next((one[0] for one in pipeline if not isinstance(one, float)), None)
    size = rows.shape[1]
    mean, deviation = (scaler.mean_, scaler.scale_) if scaler else (np.zeros(size), np.ones(size))
    columns = [np.zeros(size) if isinstance(one, float) else one[-1].coef_[0] for one in pipeline]
    bias = [SURE * (2 * one - 1) if isinstance(one, float) else one[-1].intercept_[0] for one in pipeline]
    return mean, deviation, np.stack(columns, axis=1), np.array(bias)
