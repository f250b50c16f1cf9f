"""Differences between ablations and the best run, paired, with intervals.

Ablations and best runs are compared on test clips that the study never saw: with one test split its clips,
which a study holds out, with several test folds those of the runs whose test fold is the one that the study
held out (tag ``unseen``). Where these have too few groups for an interval, all test folds are taken. Where
there is no test side of its own (`experiment.on_test`), or runs of earlier versions were not scored on it,
the validation clips are. In both cases the best run is favoured, because its settings were chosen on these
clips, which `Effects.bias` says.

Each clip counts once, whatever number of seeds scored it. The interval is over groups (speakers, songs,
sources), clustered by each column of ``data.groups``; where there are too few of them, or the ablation has
other clips than the best run, it is over test folds, and with one fold over seeds. Ablations with one
``question`` are a family, whose intervals hold at once (`metrics.simultaneous`); all others are exploratory.

Contents: `Effect`, `Effects`, `effects`, `clustered`; `marked`, `predictions_of`.
"""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import clip_counts, seen
from audiomtl.harness.experiment import on_test
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.metrics import per_clip
from audiomtl.metrics.intervals import FEWEST_GROUPS
from audiomtl.metrics.simultaneous import simultaneous

UNSEEN = "unseen"  # tag: whether the study never saw the run's test clips
GROUPS = "groups:"
SAW = "the study chose the settings of the best run on these clips, so the best run is favoured"

Predictions = Callable[[Run, str], pd.DataFrame | None]  # of a run and a split; None where it has none


@dataclass(frozen=True)
class Effect:
    """One ablation less the best run."""

    value: float  # difference of the main score
    low: float  # NaN without an interval
    high: float
    over: str  # what the interval is over, for people
    question: str = ""  # "": exploratory

    @property
    def significant(self) -> bool:
        """Whether the interval of an ablation that answers a question excludes 0."""
        return bool(self.question and (self.low > 0 or self.high < 0))


@dataclass(frozen=True)
class Effects:
    """The ablations of one experiment beside its best runs."""

    side: str  # "test" or "validation"
    of: dict[str, Effect]  # by ablation
    over: str  # what the intervals are over, for people
    bias: str  # why the comparison favours the best run; "" if it does not
    seeds: tuple[int, ...]  # that are compared
    best: float  # score of the best run on these clips


# ---------------------------------------------------------------- which clips


def marked(file: ExperimentFile, best: Mapping[int, Run], tracking: Tracking) -> dict[int, Run]:
    """The best runs, by seed, after each has a tag ``unseen``: whether no study has seen its test clips."""
    unseen = seen.unseen_seeds(file, list(best)) if seen.was_chosen(file) else list(best)
    found = {}
    for seed, run in best.items():
        value = str(unseen is not None and seed in unseen).lower()
        if run.data.tags.get(UNSEEN) != value:
            tracking.add(run.info.run_id, {}, {UNSEEN: value})
            run = tracking.client.get_run(run.info.run_id)
        found[seed] = run
    return found


def predictions_of(tracking: Tracking) -> Predictions:
    """Reads the predictions of runs, each once."""
    known: dict[tuple[str, str], pd.DataFrame | None] = {}

    def read(run: Run, side: str) -> pd.DataFrame | None:
        key = run.info.run_id, f"predictions_{side}.parquet"
        if key not in known:
            known[key] = None
            if any(item.path == key[1] for item in tracking.client.list_artifacts(key[0])):
                with tempfile.TemporaryDirectory() as folder:
                    known[key] = pd.read_parquet(tracking.client.download_artifacts(*key, folder))
        return known[key]

    return read


# ---------------------------------------------------------------- the comparison


def effects(
    file: ExperimentFile,
    best: Mapping[int, Run],
    arms: Mapping[str, Mapping[int, Run]],
    predictions: Predictions,
) -> Effects:
    """Compare ablations with the best runs.

    Parameters
    ----------
    best : runs by seed. arms : the same of each ablation, with the seeds that it has.
    """
    main = next(iter(config.scores(file.raw)))
    complete = {name: runs for name, runs in arms.items() if set(runs) >= set(best)}
    tested = on_test(file.settings) and all(
        f"test/{main}" in run.data.metrics for runs in [best, *complete.values()] for run in runs.values()
    )
    if not tested:
        bias = SAW if seen.was_chosen(file) else ""
        if on_test(file.settings) and complete:
            bias = f"{bias}; " if bias else ""
            bias += f"`audiomtl ablations {file.name}` scores all on test"
        return _compared(file, main, "validation", sorted(best), best, complete, predictions, bias)
    fresh = [seed for seed in sorted(best) if best[seed].data.tags.get(UNSEEN) == "true"]
    fresh = [] if file.chosen_on_all_folds else fresh
    if fresh and len(fresh) < len(best):
        found = _compared(file, main, "test", fresh, best, complete, predictions, "")
        if any(math.isfinite(one.low) for one in found.of.values()) and found.over.startswith(GROUPS):
            return found
    bias = ""
    if file.chosen_on_all_folds:
        bias = f"{seen.CHOSEN}, so the best run is favoured"
    elif len(fresh) < len(best):
        known = len(best) - len(fresh)
        bias = f"of {known} of the {len(best)} runs {SAW}; the others are too few for an interval"
    return _compared(file, main, "test", sorted(best), best, complete, predictions, bias)


def _compared(
    file: ExperimentFile,
    main: str,
    side: str,
    seeds: Sequence[int],
    best: Mapping[int, Run],
    arms: Mapping[str, Mapping[int, Run]],
    predictions: Predictions,
    bias: str,
) -> Effects:
    def read(runs: Mapping[int, Run]) -> list[pd.DataFrame | None]:
        return [predictions(runs[seed], side) for seed in seeds]

    own = _pooled_clips(file, main, read(best))
    others = {name: _pooled_clips(file, main, read(runs)) for name, runs in arms.items()} if own else {}
    paired = {
        name: one for name, one in others.items() if own and one and one.parts.index.equals(own.parts.index)
    }
    found = dict[str, Effect]()
    if own and paired:
        found |= _effects(file, list(paired), *_over_groups(own, paired))
    rest = {name: runs for name, runs in arms.items() if name not in paired}
    key = f"test/{main}" if side == "test" else f"best/validation/{main}"
    if rest:
        found |= _effects(file, list(rest), *_over_folds(file, key, seeds, best, rest, read(best)))
    over = {one.over: None for one in found.values()}
    mean = own.score if own else fmean(best[seed].data.metrics[key] for seed in seeds)
    return Effects(side, found, "; ".join(over), bias, tuple(seeds), mean)


def _effects(
    file: ExperimentFile,
    names: Sequence[str],
    values: np.ndarray,
    covariance: np.ndarray,
    freedom: int,
    over: str,
) -> dict[str, Effect]:
    """Simultaneous intervals of each family, an interval of its own of each exploratory ablation."""
    questions = {name: file.questions.get(name, "") for name in names}
    found = {
        name: Effect(float(value), math.nan, math.nan, over, questions[name])
        for name, value in zip(names, values, strict=True)
    }
    asked = sorted({*questions.values()} - {""})
    families = [[name for name in names if questions[name] == one] for one in asked]
    families += [[name] for name in names if not questions[name]]
    for family in families if freedom >= 1 else []:
        places = [names.index(name) for name in family]
        own = simultaneous(values[places], covariance[np.ix_(places, places)], freedom)
        for name, low, high in zip(family, own.low, own.high, strict=True):
            found[name] = replace(found[name], low=float(low), high=float(high))
    return found


Compared = tuple[np.ndarray, np.ndarray, int, str]  # differences, covariance, freedom, what it is over


@dataclass(frozen=True)
class _Clips:
    """The score of all clips of some runs."""

    parts: pd.DataFrame  # above and below by clip_id: see `per_clip.parts`
    columns: dict[str, np.ndarray]  # groups (clips,)

    @property
    def score(self) -> float:
        return float(self.parts["above"].sum() / self.parts["below"].sum())

    @property
    def influence(self) -> np.ndarray:  # (clips,)
        """What each clip adds to the score, less its own expected part: the linearised ratio (Cochran,
        Sampling Techniques, 1977, 6.3).
        """
        rest = self.parts["above"] - self.score * self.parts["below"]
        return np.asarray(rest / self.parts["below"].sum())


def _pooled_clips(file: ExperimentFile, main: str, tables: Sequence[pd.DataFrame | None]) -> _Clips | None:
    """None where the predictions do not tell the score, or there are too few groups."""
    given = [one for one in tables if one is not None]
    if len(given) < len(tables):
        return None
    table = pd.concat(given, ignore_index=True)
    parts = _parts(table, main, clip_counts.ratios_of(file.raw["model"]))
    rows = table.drop_duplicates("clip_id").set_index("clip_id").sort_index()
    known = [name for name in file.raw["data"].get("groups", ()) if name in rows]
    columns = {name: rows[name].astype(str).to_numpy() for name in known}
    few = min((len(set(column)) for column in columns.values()), default=0) < FEWEST_GROUPS
    if parts is None or few or not parts["below"].sum() > 0:
        return None
    return _Clips(parts, columns)


def _over_groups(best: _Clips, arms: Mapping[str, _Clips]) -> Compared:
    influence = np.stack([one.influence - best.influence for one in arms.values()], axis=1)  # (clips, arms)
    sizes = {name: len(set(column)) for name, column in best.columns.items()}
    over = " and ".join(f"{size} values of {name}" for name, size in sizes.items())
    return (
        np.array([one.score - best.score for one in arms.values()]),
        clustered(influence, list(best.columns.values())),
        min(sizes.values()) - 1,
        f"{GROUPS} {over} ({len(best.parts)} clips)",
    )


def _parts(table: pd.DataFrame, score: str, ratios: per_clip.Ratios) -> pd.DataFrame | None:
    """``above`` and ``below`` of each clip (`per_clip.parts`), averaged over the seeds that scored it, by
    clip_id.
    """
    found = per_clip.parts(table, score, ratios)
    if found is None:
        return None
    rows = pd.DataFrame({"clip_id": table["clip_id"], "above": found.above, "below": found.below})
    return rows.groupby("clip_id").mean().sort_index()


def clustered(influence: np.ndarray, columns: Sequence[np.ndarray]) -> np.ndarray:  # (arms, arms)
    """Covariance of sums over clips that come in groups, by each column of groups.

    Several columns: ``V1 + V2 - V12``, ``V12`` being that of their combinations (Cameron, Gelbach and Miller,
    J. Business & Economic Statistics, 2011); variances are at least those of a single column.

    Parameters
    ----------
    influence : (clips, arms) what each clip adds to each sum. columns : (clips,) names of groups.
    """
    alone = [_of_one(influence, column) for column in columns]
    total = np.sum(alone, axis=0)
    for size in range(2, len(columns) + 1):
        for some in combinations(columns, size):
            together = np.array(["\0".join(names) for names in zip(*some, strict=True)])
            total = total + (-1) ** (size + 1) * _of_one(influence, together)
    least = np.max([np.diag(one) for one in alone], axis=0)
    raised = np.maximum(np.diag(total), least)
    found = np.array(total)
    np.fill_diagonal(found, raised)
    return found


def _of_one(influence: np.ndarray, column: np.ndarray) -> np.ndarray:
    _, index = np.unique(column, return_inverse=True)
    count = int(index.max()) + 1
    sums = np.zeros((count, influence.shape[1]))
    np.add.at(sums, index, influence)
    return np.asarray(count / max(count - 1, 1) * sums.T @ sums)


def _one_split(settings: Any) -> bool:
    """Whether all seeds test the same clips."""
    protocol = getattr(settings, "protocol", None)
    if protocol is None or protocol.leaky or protocol.kind == "split":
        return True
    return bool(protocol.kind == "blocks" and protocol.rotations == 1)


def _over_folds(
    file: ExperimentFile,
    key: str,
    seeds: Sequence[int],
    best: Mapping[int, Run],
    arms: Mapping[str, Mapping[int, Run]],
    tables: Sequence[pd.DataFrame | None],
) -> Compared:
    """From the runs' scores; those of seeds with one fold, which score the same clips, are averaged first."""
    clips: list[Any] = [
        frozenset(one["clip_id"]) if one is not None else number for number, one in enumerate(tables)
    ]
    if _one_split(file.settings):
        clips = [0] * len(seeds)
    folds = {one: number for number, one in enumerate(dict.fromkeys(clips))}
    index = np.array([folds[one] for one in clips])
    rows = np.array(
        [
            [runs[seed].data.metrics[key] - best[seed].data.metrics[key] for seed in seeds]
            for runs in arms.values()
        ]
    )  # (arms, seeds)
    means = np.stack([rows[:, index == fold].mean(axis=1) for fold in range(len(folds))], axis=1)
    several = len(folds) > 1
    units = means if several else rows
    over = f"{len(folds)} folds" if several else f"{len(seeds)} seeds, which score the same clips"
    count, finite = units.shape[1], bool(np.isfinite(units).all())
    covariance = np.zeros((len(arms), len(arms)))
    if count > 1 and finite:
        covariance = np.atleast_2d(np.cov(units)) / count
    return means.mean(axis=1), covariance, count - 1 if finite else 0, over
