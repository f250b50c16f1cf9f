"""Optimism: how much better the best trial looked than the same settings do with new seeds.

The best of many trials is partly lucky. Its settings are trained again with seeds that nothing has used, on
the split of the study (on each of its folds, where it is judged over folds), and scored on the same
validation clips. What is left of its lead is not luck of the seed; whether it carries over to new groups is
said by the best runs (`selection`). These trainings are runs of kind ``optimism`` below the study's run; they
are no trials.

Contents: `Optimism`, `measure`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog, text
from audiomtl.harness.experiment import Planned, train_planned
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import server_log
from audiomtl.harness.search import space
from audiomtl.harness.search.proposals import study_name
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.forkserver import device
from audiomtl.harness.train.progress import console

FIRST_SEED = 1001  # of the new ones
KIND = "optimism"


@dataclass(frozen=True)
class Optimism:
    """The best trial by one score, and the same settings with new seeds."""

    metric: str
    direction: str
    trial: int
    score: float  # in the study
    again: Mapping[int, float]  # new seed -> score on the same clips

    @property
    def value(self) -> float:
        """How much better the score in the study is than the mean with new seeds; below 0 if it is worse."""
        return gain(self.score, mean(self.again.values()), self.direction)

    @property
    def line(self) -> str:
        """For people."""
        if not self.again:
            return f"optimism of trial {self.trial}: not estimated: its trainings with new seeds failed"
        seeds, values = ", ".join(map(str, self.again)), self.again.values()
        return (
            f"optimism of trial {self.trial} (by how much its score was too good): {self.metric}"
            f" {self.score:.4f} in the study, {mean(values):.4f} with new seeds on the same clips"
            f" ({min(values):.4f} to {max(values):.4f}, seeds {seeds}): {self.value:+.4f}"
        )


def gain(score: float, other: float, direction: str) -> float:
    """How much better ``score`` is than ``other``."""
    return score - other if direction == "maximize" else other - score


def measure(
    file: StudyFile, parent: str, folds: tuple[int, ...], *, slots: int, threads: int, storage: str = ""
) -> list[Optimism]:
    """Train the best trial again with ``optimism_seeds`` new seeds; finished trainings are not repeated.

    Parameters
    ----------
    parent : id of the study's own run. folds : inner folds on which its trials are judged.

    Returns
    -------
    one for each objective; with several, of the trial that is best by it.
    """
    study = optuna.load_study(study_name=study_name(file), storage=open_storage(storage))
    best = winners(file, study)
    if not best or not file.study.optimism_seeds:
        return []
    seeds = new_seeds(file)
    planned = {}
    for number, trial in sorted({trial.number: trial for trial in best.values()}.items()):
        raw = config.override(file.raw, space.decode(file, trial.params))
        for fold in folds:
            for one in _planned(file, raw, number, fold, seeds, parent, threads):
                planned[number, fold, one.seed] = one
    console().print(f"study {file.name}: {_announced(planned, folds, seeds)}", highlight=False)
    runs = train_planned(
        file.experiment, list(planned.values()), slots=slots, threads=threads, storage=storage
    )
    found = []
    for index, (metric, trial) in enumerate(best.items()):
        again = {}
        for seed in seeds:
            mine = [runs.get((planned[trial.number, fold, seed].arm, seed)) for fold in folds]
            scores = [run.data.metrics[f"best/{metric}"] for run in mine if run is not None]
            if len(scores) == len(folds):
                again[seed] = mean(scores)
        values = trial.values or []
        found.append(
            Optimism(metric, file.study.objectives[metric], trial.number, float(values[index]), again)
        )
    return found


def _announced(planned: Collection[Any], folds: Sequence[int], seeds: Sequence[int]) -> str:
    """What is trained now, and why."""
    on = f" on each of {len(folds)} inner folds" if len(folds) > 1 else ""
    trainings = f"{len(planned)} training{'' if len(planned) == 1 else 's'} of its settings"
    with_new = f"with {len(seeds)} new seeds" if len(seeds) > 1 else "with a new seed"
    return (
        f"estimates the optimism of the best score: {trainings} {with_new}{on}; optimism_seeds = 0 skips this"
    )


def winners(file: StudyFile, study: optuna.Study) -> dict[str, FrozenTrial]:
    """The best complete trial by each objective, of equal ones the first."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found = {}
    for index, (metric, direction) in enumerate(file.study.objectives.items() if complete else ()):
        sign = -1 if direction == "maximize" else 1
        found[metric] = min(complete, key=lambda trial: (sign * trial.values[index], trial.number))
    return found


def new_seeds(file: StudyFile) -> list[int]:
    """Seeds from 1001 on that neither the study nor the experiment uses."""
    settings = file.experiment.settings
    used = {settings.study_seed, *settings.seeds}
    found: list[int] = []
    seed = FIRST_SEED
    while len(found) < file.study.optimism_seeds:
        found += [seed] if seed not in used else []
        seed += 1
    return found


def same_split(raw: Mapping[str, Any], fold: int) -> dict[str, Any]:
    """The settings with the split of the study, whatever the seed of the training."""
    changes: dict[str, Any] = {"protocol.split_seed": raw["study_seed"]}
    return config.override(raw, changes | ({"protocol.inner_fold": fold} if fold else {}))


def _planned(
    file: StudyFile,
    raw: Mapping[str, Any],
    number: int,
    fold: int,
    seeds: list[int],
    parent: str,
    threads: int,
) -> list[Planned]:
    on = device(raw["model"], server_log())
    own = same_split(raw, fold)
    data = text.fingerprint(catalog.clips(config.settings_of(own, str(file.path)).data), own)
    found = []
    for seed in seeds:
        training = provenance.training_key(own, seed, data, threads, on)
        name = f"trial {number}" + (f" fold {fold}" if fold else "")
        tags = {
            "study": file.name,
            "study_key": file.identity,
            "trial": str(number),
            "mlflow.parentRunId": parent,
        }
        described = (
            f"The settings of trial {number} of study {file.name}, its best, with the new seed {seed} on the"
            f" study's split{f', inner fold {fold}' if fold else ''}."
        )
        key = provenance.scores_key(training, own)
        found.append(Planned(name, own, seed, training, key, data, KIND, tags, described))
    return found
