"""Floors: scores that need no network. What an experiment reports means something only above them.

A floor is a predictor that does not listen (the most frequent class, a constant), that listens to the length
and the level of a clip alone, or that is one linear model on the mean of its log mel bands. All are fitted
on the train split and scored on the others, as the networks are; nothing is tuned.

Conventions: splits are `splits.Splits`; scores are by split, by score (as the families call it), by floor:
``{"test": {"accuracy": {"majority class": 0.25, ...}}}``. Contents: `Sound`, `listen`; `of_classes`,
`of_tags`, `of_values`, `of_phones`; `constant_sequence`; `CHANCE` and the other names.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data.splits import Splits
from audiomtl.data.store import FeatureStore
from audiomtl.data.tags import THRESHOLD, as_tags, classes_of, target
from audiomtl.metrics import labels, sequences, tags
from audiomtl.settings.shared import Features

CHANCE = "chance"
MAJORITY = "majority class"
FREQUENCIES = "class frequencies"
MEDIAN = "median of train"
LENGTH_AND_LEVEL = "length and level"
LINEAR = "linear model on mean features"
EMPTY = "empty answer"
SEQUENCE = "one sequence for every clip"
JUDGED = ("validation", "test")
CANDIDATES = 50  # sequences of train that are tried as the one answer to every clip
ROUNDS = 5000  # of the solver, at most
SMALLEST = 1e-12  # added to powers before their logarithm

Scores = dict[str, dict[str, dict[str, float]]]  # split -> score -> floor -> value

# of the linear model: one choice for all experiments, whatever features their networks read
FEATURES = Features.model_validate(
    {
        "kind": "log_mel",
        "sample_rate": 16000,
        "window_seconds": 0.025,
        "hop_seconds": 0.010,
        "n_fft": 512,
        "bands": 64,
        "low_hz": 60.0,
        "high_hz": 7600.0,
        "floor_db": -90.0,
        "scaling": "none",
    }
)


@dataclass(frozen=True)
class Sound:
    """What the floors that listen know of each recording, by path."""

    means: Mapping[str, np.ndarray]  # (bands,) mean log mel spectrum in dB
    plain: Mapping[str, np.ndarray]  # (2,) length in seconds, level in dB

    def rows(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        """Floor -> (clips, numbers), of the clips of a table."""
        return {
            LENGTH_AND_LEVEL: np.stack([self.plain[path] for path in table["path"]]),
            LINEAR: np.stack([self.means[path] for path in table["path"]]),
        }


def listen(table: pd.DataFrame, store: FeatureStore) -> Sound:
    """Length, level and mean spectrum of every recording of a clip table.

    Raises
    ------
    UserError : a recording cannot be read.
    """
    paths = sorted(set(table["path"]))
    means, plain = {}, {}
    for path, frames in zip(paths, store.features(paths, FEATURES), strict=True):
        array = np.asarray(frames, np.float64)  # (frames, bands)
        power = float((10 ** (array / 10)).sum(axis=1).mean())
        means[path] = array.mean(axis=0)
        plain[path] = np.array([len(array) * FEATURES.seconds_per_frame, 10 * np.log10(power + SMALLEST)])
    return Sound(means, plain)


# ---------------------------------------------------------------- one label, several labels, a number


def of_classes(sides: Splits, column: str, sound: Sound | None) -> Scores:
    """accuracy, balanced_accuracy and macro_f1 where each clip has one class.

    A class that train does not have counts as missed. Of chance, which answers every class equally often,
    there are the two accuracies only.
    """
    known = {side: table.dropna(subset=[column]) for side, table in sides.sides().items()}
    truth = {side: table[column].astype(str).to_numpy() for side, table in known.items()}
    classes = sorted(set(truth["train"]))
    most = Counter(truth["train"]).most_common()
    majority = min(name for name, count in most if count == most[0][1])
    train = sound.rows(known["train"]) if sound else {}
    models = {name: _classifier(rows, truth["train"]) for name, rows in train.items()}
    found: Scores = {}
    for side in JUDGED:
        if not len(truth[side]):
            continue
        said = {MAJORITY: np.full(len(truth[side]), majority)}
        rows = sound.rows(known[side]) if sound else {}
        said |= {name: np.asarray(models[name](own)) for name, own in rows.items()}
        kinds = (labels.accuracy, labels.balanced_accuracy, labels.macro_f1)
        found[side] = {
            kind.__name__: {name: kind(truth[side], answer) for name, answer in said.items()}
            for kind in kinds
        }
        for score in ("accuracy", "balanced_accuracy"):
            found[side][score] = {CHANCE: 1 / len(classes), **found[side][score]}
    return found


def _classifier(rows: np.ndarray, truth: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic regression on standardised rows, fitted; of train's one class where there is one."""
    if len(set(truth)) < 2:
        return lambda others: np.full(len(others), truth[0])
    found: Callable[[np.ndarray], np.ndarray] = _logistic(rows, truth).predict
    return found


def _logistic(rows: np.ndarray, truth: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=ROUNDS)).fit(rows, truth)


def of_tags(sides: Splits, column: str, sound: Sound | None) -> Scores:
    """mean_average_precision, roc_auc and macro_f1 where clips have several labels."""
    known = {side: table.dropna(subset=[column]) for side, table in sides.sides().items()}
    classes = classes_of(as_tags(value) for value in known["train"][column])
    truth = {
        side: np.stack([target(as_tags(value), classes) for value in table[column]])
        for side, table in known.items()
        if len(table)
    }
    train = sound.rows(known["train"]) if sound else {}
    models = {
        name: [
            _logistic(rows, tag) if 0 < tag.sum() < len(tag) else float(tag[0]) for tag in truth["train"].T
        ]
        for name, rows in train.items()
    }
    found: Scores = {}
    for side in JUDGED:
        if side not in truth:
            continue
        frequencies = truth["train"].mean(axis=0)
        said = {FREQUENCIES: np.tile(frequencies, (len(truth[side]), 1))}
        rows = sound.rows(known[side]) if sound else {}
        said |= {name: _tagged(models[name], own) for name, own in rows.items()}
        scores = {
            name: tags.scores(truth[side], answer, classes, threshold=THRESHOLD, every_score=False)
            for name, answer in said.items()
        }
        found[side] = _by_score(scores)
    return found


def _tagged(models: Sequence[Any], rows: np.ndarray) -> np.ndarray:  # (clips, classes)
    """Probability of each tag; the constant of one that all clips of train have, or none."""
    columns = [
        np.full(len(rows), model) if isinstance(model, float) else model.predict_proba(rows)[:, 1]
        for model in models
    ]
    return np.stack(columns, axis=1)


def of_values(sides: Splits, column: str, sound: Sound | None) -> Scores:
    """absolute_error of a number of the clip."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = {side: table.dropna(subset=[column]) for side, table in sides.sides().items()}
    truth = {side: table[column].to_numpy(float) for side, table in known.items()}
    models = {
        name: make_pipeline(StandardScaler(), Ridge()).fit(rows, truth["train"])
        for name, rows in (sound.rows(known["train"]) if sound else {}).items()
    }
    found: Scores = {}
    for side in JUDGED:
        if not len(truth[side]):
            continue
        said = {MEDIAN: np.full(len(truth[side]), np.median(truth["train"]))}
        rows = sound.rows(known[side]) if sound else {}
        said |= {name: models[name].predict(own) for name, own in rows.items()}
        found[side] = {
            "absolute_error": {
                name: float(np.mean(np.abs(answer - truth[side]))) for name, answer in said.items()
            }
        }
    return found


# ---------------------------------------------------------------- sequences


def of_phones(train: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> dict[str, float]:
    """Floors of an error rate of sequences: nothing is answered, or one sequence of train to every clip."""
    one = constant_sequence(train)
    return {
        EMPTY: sequences.error_rate(truth, [[] for _ in truth]),
        SEQUENCE: sequences.error_rate(truth, [one for _ in truth]),
    }


def constant_sequence(train: Sequence[Sequence[str]]) -> list[str]:
    """Of at most `CANDIDATES` sequences of train, from the shortest to the longest, the one with the lowest
    error rate as the answer to every clip of train: often a short one, which deletes little and hits some.
    """
    different = sorted({tuple(sequence) for sequence in train}, key=lambda one: (len(one), one))
    step = max(1, -(-len(different) // CANDIDATES))
    some = different[::step]
    rates = [sequences.error_rate(train, [one] * len(train)) for one in some]
    return list(some[int(np.argmin(rates))])


def _by_score(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """{floor: {score: value}} turned over."""
    found: dict[str, dict[str, float]] = {}
    for name, values in scores.items():
        for score, value in values.items():
            found.setdefault(score, {})[name] = value
    return found


Kind = Callable[[Splits, str, Sound | None], Scores]
OF: dict[str, Kind] = {"one": of_classes, "several": of_tags}  # by data.labels


def renamed(scores: Scores, prefix: str) -> dict[str, dict[str, Any]]:
    """The same with ``prefix`` before the name of each score."""
    return {
        side: {f"{prefix}{score}": values for score, values in own.items()} for side, own in scores.items()
    }
