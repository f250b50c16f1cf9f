"""scikit-learn classifiers behind one interface: standardised rows of numbers in, probabilities of classes
out.

Contents: `fit_classifier`, `class_probabilities`; for several labels per clip `fit_tag_classifiers`,
`tag_probabilities`; `save_rows`, `load_rows`, what a classifier is fitted on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.settings.classifier import Classifier


def fit_classifier(
    chosen: Classifier,
    rows: np.ndarray,
    truth: np.ndarray,
    seed: int,
    *,
    balanced: bool = False,
    weights: np.ndarray | None = None,
) -> Any:
    """A pipeline of scaler (train's means and deviations) and classifier, fitted.

    Parameters
    ----------
    rows : (clips, numbers), not standardised.
    truth : (clips,) numbers of classes.
    balanced : whether every class has the same part in the loss.
    weights : (clips,) of each clip in the loss, by which the weight of its class is multiplied; those of a
        clip of each class at least are above 0. None: 1. They do not change the scaler.
    """
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    of_class: Any = "balanced" if balanced else None
    if balanced and weights is not None:  # which some classifiers would count in, others not
        clips = np.bincount(truth)
        of_class = {number: len(truth) / (np.sum(clips > 0) * clips[number]) for number in np.unique(truth)}
    made = {
        "random_forest": lambda: RandomForestClassifier(
            chosen.trees, random_state=seed, n_jobs=1, class_weight=of_class
        ),
        "extra_trees": lambda: ExtraTreesClassifier(
            chosen.trees, random_state=seed, n_jobs=1, class_weight=of_class
        ),
        "svm": lambda: SVC(
            C=chosen.inverse_regularization,
            kernel=chosen.kernel,
            decision_function_shape="ovr",
            class_weight=of_class,
            random_state=seed,
        ),
        "logistic_regression": lambda: LogisticRegression(
            C=chosen.inverse_regularization, max_iter=5000, random_state=seed, class_weight=of_class
        ),
        "nearest_neighbours": lambda: KNeighborsClassifier(min(chosen.neighbours, len(rows))),
    }[chosen.name]()
    given = {} if weights is None else {f"{type(made).__name__.lower()}__sample_weight": weights}
    return make_pipeline(StandardScaler(), made).fit(rows, truth, **given)


def fit_tag_classifiers(
    chosen: Classifier,
    rows: np.ndarray,
    truth: np.ndarray,
    seed: int,
    *,
    balanced: bool = False,
    weights: np.ndarray | None = None,
) -> list[Any]:
    """For each tag a pipeline as of `fit_classifier` that tells clips with it from those without; for a tag
    that all clips (of a weight above 0) have, or none, its constant probability.

    Parameters
    ----------
    truth : (clips, classes), 0 and 1.
    """
    kept = slice(None) if weights is None else np.asarray(weights) > 0
    return [
        fit_classifier(chosen, rows, column.astype(int), seed, balanced=balanced, weights=weights)
        if 0 < column[kept].sum() < len(column[kept])
        else column[kept][0]
        for column in np.asarray(truth, float).T
    ]


def tag_probabilities(classifiers: Sequence[Any], rows: np.ndarray) -> np.ndarray:  # (clips, classes)
    """Probability of each tag; of a support vector machine the sigmoid of its decision value."""
    from scipy.special import expit

    columns = []
    for one in classifiers:
        if isinstance(one, float):
            columns.append(np.full(len(rows), one))
        elif hasattr(one, "predict_proba"):
            columns.append(one.predict_proba(rows)[:, 1])
        else:
            columns.append(expit(one.decision_function(rows)))
    return np.stack(columns, axis=1)


def class_probabilities(pipeline: Any, rows: np.ndarray) -> np.ndarray:  # (clips, classes)
    """The classifier's.

    Of a support vector machine the softmax of its decision values, which is no calibrated probability.
    """
    if hasattr(pipeline, "predict_proba"):
        return pipeline.predict_proba(rows)
    values = pipeline.decision_function(rows)
    if values.ndim == 1:  # two classes
        values = np.stack([-values, values], axis=1)
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def save_rows(folder: Path, rows: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> None:
    """Write ``train.npz``: arguments of `fit_classifier`, which makes the same classifier of them again."""
    more: Any = {} if weights is None else {"item_weights": weights}
    np.savez(folder / "train.npz", rows=rows, truth=truth, **more)


def load_rows(folder: Path) -> dict[str, Any]:
    """What `save_rows` wrote: rows, truth, and item_weights, if there are any."""
    with np.load(folder / "train.npz", allow_pickle=False) as stored:
        return dict(stored)
