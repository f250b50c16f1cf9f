"""What dropping poor trials saves, and what it costs, where each trial is judged over inner folds.

Every trial of a random search is first trained on all its folds and its predictions are kept; then the
search is replayed in many orders with the rule of `harness.search.dropping`. Printed for each space: the
share of the trainings that are done, and the regret: how much worse, over all folds, the chosen trial is than
the best of all, in standard errors of the best one's score (over groups of clips). The aim is at most 0.25
standard errors at no more than 45 % of the trainings.

Real recordings are read from AUDIOMTL_DATA. Recordings of trials are kept in the given folder, so that the
replay alone takes seconds.

Simulated searches need no recordings and take a minute.

Usage: python benchmarks/judge.py FOLDER [simulated | NAME OF A SPACE ...]
"""

import os
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pandas as pd

from audiomtl import config
from audiomtl.data import catalog, inner
from audiomtl.harness.search import dropping, space

TRIALS, ORDERS = 30, 200
SEARCHES, GROUPS = 25, 60  # simulated
METRIC, DIRECTION = "accuracy", "maximize"
CLASSIFIERS = {
    "classifier.name": {"choices": ["random_forest", "svm", "logistic_regression", "nearest_neighbours"]},
    "classifier.trees": {"low": 10, "high": 100, "when": {"classifier.name": ["random_forest"]}},
    "classifier.inverse_regularization": {
        "low": 1e-4,
        "high": 1e2,
        "log": True,
        "when": {"classifier.name": ["svm", "logistic_regression"]},
    },
    "classifier.kernel": {"choices": ["linear", "rbf"], "when": {"classifier.name": ["svm"]}},
    "classifier.neighbours": {
        "low": 1,
        "high": 31,
        "when": {"classifier.name": ["nearest_neighbours"]},
    },
    "statistics.of": {"choices": [["mean"], ["mean", "deviation"], ["minimum", "median", "maximum"]]},
    "statistics.deltas": {"choices": [False, True]},
}
DRAWN = {"protocol.column": "", "protocol.stratified": True}
EMOTION = {
    "data": {"dataset": "emodb", "label": "emotion", "groups": ["speaker"], "classes": []},
    "protocol": {"kind": "leave_one_out"},
    "classifier": {"name": "random_forest", "trees": 50},
}
SPACES: dict[str, dict[str, Any]] = {  # name -> changes of experiments/baseline_esc10.toml
    "ESC-10, published folds": {"classifier.trees": 50},
    "ESC-10, 6 folds": {"classifier.trees": 50, "protocol.folds": 6, **DRAWN},
    "EmoDB, speakers": EMOTION,
}


def record(name: str, changes: dict[str, Any], folder: Path) -> pd.DataFrame:
    """Sums of each group of clips in every training: trial, member, group, above, below."""
    path = folder / f"{config.digest([name, changes, CLASSIFIERS, TRIALS])}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    raw = config.load_experiment("baseline_esc10").raw
    tables = {key: value for key, value in changes.items() if isinstance(value, dict)}
    others = {key: value for key, value in changes.items() if key not in tables}
    raw = config.override(raw | tables, others)
    file: Any = _Study(raw)
    model = config.family("model", raw["model"])
    settings = config.settings_of(raw, name)
    folds = inner.inner_folds(catalog.clips(settings.data), settings.data, settings.protocol, 0)
    prepared: dict[str, Any] = {}
    rows = []
    for number in range(TRIALS):
        values = config.flatten(raw) if number == 0 else _sampled(file, number)
        for member, fold in enumerate(folds):
            own = config.override(raw, {} if number == 0 else values)
            own = config.override(own, {"protocol.inner_fold": fold})
            typed = config.settings_of(own, name)
            key = config.digest([own["statistics"], fold])
            if key not in prepared:
                prepared[key] = model.prepare(typed, 0)
            fitted = model.train(typed, prepared[key], 0, lambda *_: True, None)
            found = model.predict(fitted, model.outputs(fitted, prepared[key].examples["validation"]))
            clips = prepared[key].splits.validation[["clip_id", *settings.data.groups]]
            answers = dropping.answers(found.merge(clips, on="clip_id"), METRIC, settings.data.groups)
            assert answers is not None
            rows += [
                (number, member, *sums)
                for sums in zip(answers.groups, answers.above, answers.below, strict=True)
            ]
        print(f"{name}: trial {number} of {TRIALS} recorded", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows, columns=["trial", "member", "group", "above", "below"])
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path)
    return table


class _Study:
    """As much of a study file as sampling needs."""

    def __init__(self, raw: dict[str, Any]) -> None:
        from audiomtl.settings.study import Dimension

        search = {path: Dimension.model_validate(one) for path, one in CLASSIFIERS.items()}
        self.raw = raw
        self.study = type("Study", (), {"search": search})


def _sampled(file: Any, number: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    return space.suggest(study.ask(), file)


# ---------------------------------------------------------------- replay


Trials = list[list[dropping.Answers]]  # [trial][member]


def trials_of(table: pd.DataFrame) -> Trials:
    found: Trials = []
    for _, trial in table.groupby("trial", sort=True):
        found.append(
            [
                dropping.Answers(tuple(one["group"]), one["above"].to_numpy(), one["below"].to_numpy())
                for _, one in trial.groupby("member", sort=True)
            ]
        )
    return found


def replay(trials: Trials, orders: Sequence[Sequence[int]], chances: dict[Any, float], least: float) -> Any:
    """(share of the trainings, regret) over some orders."""
    total = len(trials[0])
    means = [fmean(one.score for one in trial) for trial in trials]
    shares, regrets = [], []
    for order in orders:
        best, done = order[0], total
        for trial in order[1:]:
            for count in range(1, total + 1):
                done += 1
                if count == total:
                    best = max(best, trial, key=lambda one: means[one])
                    break
                key = (trial, best, count)
                if key not in chances:
                    some = trials[trial][:count], trials[best][:count]
                    chances[key] = dropping.chance(*some, total, DIRECTION, same_clips=False)
                if chances[key] < least:
                    break
        shares.append(done / (total * len(trials)))
        regrets.append(max(means) - means[best])
    return fmean(shares), fmean(regrets)


def standard_error(trial: Sequence[dropping.Answers]) -> float:
    """Of the mean of some folds, over their groups."""
    each = np.concatenate([dropping._gains(one, None, 1.0) for one in trial])
    return float(each.std(ddof=1) / np.sqrt(len(each)))


def simulated(seed: int, folds: int, spread: float) -> Trials:
    """A search over settings whose ability differs by ``spread``, on clips whose difficulty they share."""
    random = np.random.default_rng(seed)
    names = tuple(f"{group:03d}" for group in range(GROUPS))
    difficulty = random.normal(0, 1, (folds, GROUPS))
    found: Trials = []
    for _ in range(TRIALS):
        margin = random.normal(0.9, spread) - difficulty + random.normal(0, 0.7, (folds, GROUPS))
        found.append([dropping.Answers(names, row.astype(float), np.ones(GROUPS)) for row in margin > 0])
    return found


def simulate() -> None:
    for folds, spread in product((3, 5), (0.1, 0.4)):
        results = []
        for seed in range(SEARCHES):
            trials = simulated(seed, folds, spread)
            share, regret = replay(trials, [range(TRIALS)], {}, dropping.LEAST_CHANCE)
            best = max(trials, key=lambda trial: fmean(one.score for one in trial))
            results.append((share, regret / standard_error(best)))
        share, regret = (fmean(column) for column in zip(*results, strict=True))
        print(
            f"simulated, {folds} folds, spread {spread}: {share:.0%} of the trainings, regret {regret:.2f}"
            " standard errors"
        )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/judge")
    chosen = sys.argv[2:] or ["simulated", *SPACES]
    if "simulated" in chosen:
        simulate()
    orders = [[0, *(np.random.default_rng(seed).permutation(TRIALS - 1) + 1)] for seed in range(ORDERS)]
    for name in SPACES:
        if name not in chosen:
            continue
        trials = trials_of(record(name, SPACES[name], folder))
        means = sorted((fmean(one.score for one in trial) for trial in trials), reverse=True)
        error = standard_error(max(trials, key=lambda trial: fmean(one.score for one in trial)))
        print(
            f"{name}: {len(trials)} trials of {len(trials[0])} trainings, best {means[0]:.3f}, median"
            f" {means[len(means) // 2]:.3f}, standard error {error:.3f}"
        )
        material = dropping.MATERIAL
        for dropping.MATERIAL, least in product((0.0, 0.25, 0.5), (0.05, 0.1, 0.2, 0.3)):
            share, regret = replay(trials, orders, {}, least)
            used = (dropping.MATERIAL, least) == (material, dropping.LEAST_CHANCE)
            print(
                f"  material {dropping.MATERIAL:.2f} least chance {least:.2f}: {share:4.0%} of the trainings,"
                f" regret {regret / error:.2f} standard errors{' (the rule)' if used else ''}"
            )
        dropping.MATERIAL = material


if __name__ == "__main__":
    os.environ.setdefault("AUDIOMTL_CACHE", "cache")
    main()
