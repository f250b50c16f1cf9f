"""The trainings of a trial that is judged by several: which they are, what Optuna keeps of them, and what the
trial makes of their results.

A *member* is one training of a trial: the trial's settings on one inner fold, or with one seed. Members are
numbered from 0, and every decision looks at them in that order, so that it does not depend on which one ends
first. What Optuna keeps are user attributes of the trial: ``member K`` (how it ended, and its run), ``after
K`` (the decision after K members).

Contents: `Member`, `plan`, `Ended`, `ended`, `decision`, `mean_result`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import inner
from audiomtl.errors import UserError
from audiomtl.harness.train.child import Result
from audiomtl.harness.train.workers import Outcome

RUN = "run"  # user attribute of a trial: id of its run in MLflow
SOURCE = "source"  # of a member: id of the run from which its scores were copied; "" for a training
GO_ON, STOP = "go on", "stop"


@dataclass(frozen=True)
class Member:
    """One training of every trial of a study."""

    number: int
    name: str  # "fold 0", "seed 7"
    seed: int
    changes: Mapping[str, Any] = field(default_factory=dict)  # setting path -> value, on top of the trial's

    def settings(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Raw settings of this training of a trial with the settings ``raw``."""
        return config.override(raw, self.changes)


def plan(file: StudyFile, table: pd.DataFrame) -> list[Member]:
    """The members of each trial of a study; the first is the training of a study with one per trial.

    Parameters
    ----------
    table : clip table of the experiment.

    Raises
    ------
    UserError : the protocol has fewer inner folds than ``judge.n``, or one alone.
    """
    judge, settings = file.judge, config.settings_of(file.raw, str(file.path))
    own = settings.study_seed
    if judge.over == "seeds":
        seeds, seed = [own], own
        while len(seeds) < (judge.n or 1):
            seed += 1
            seeds += [seed] if seed not in settings.seeds else []
        later = {"protocol.split_seed": own}
        return [
            Member(number, f"seed {seed}", seed, later if number else {}) for number, seed in enumerate(seeds)
        ]
    folds = list(inner.inner_folds(table, settings.data, settings.protocol, own, most=judge.n))
    if len(folds) < max(2, judge.n or 0):
        remedy = f"use n = {len(folds)} or leave n out" if len(folds) > 1 else 'use over = "seeds" with n = 3'
        asked = f"judge.n = {judge.n}" if judge.n else 'judge.over = "folds"'
        raise UserError(
            f"{file.path}: {asked}: the protocol has {len(folds)} inner fold{'s' * (len(folds) != 1)} beside"
            f" the test fold of study_seed = {own}: {remedy}"
        )
    return [
        Member(number, f"fold {fold}", own, {"protocol.inner_fold": fold} if fold else {})
        for number, fold in enumerate(folds)
    ]


# ---------------------------------------------------------------- what Optuna keeps


@dataclass(frozen=True)
class Ended:
    """How a member ended."""

    run: str  # its run in MLflow
    outcome: Outcome
    source: str = ""  # run from which its scores were copied

    @property
    def result(self) -> Result:
        assert self.outcome.result is not None
        return self.outcome.result

    @property
    def predictions(self) -> str:
        """Id of the run that has its predictions."""
        return self.source or self.run


def key(number: int) -> str:
    """User attribute of a trial for the member ``number``."""
    return f"member {number}"


def verdict_key(count: int) -> str:
    """User attribute of a trial for the decision after ``count`` members."""
    return f"after {count}"


def ended(trial: FrozenTrial, members: Sequence[Member]) -> dict[int, Ended]:
    """The members of a trial that have ended, by number."""
    found = {}
    for member in members:
        kept = trial.user_attrs.get(key(member.number))
        if kept is None:
            continue
        result = kept["outcome"]["result"]
        outcome = Outcome(**{**kept["outcome"], "result": Result(**result) if result else None})
        found[member.number] = Ended(kept[RUN], outcome, kept[SOURCE])
    return found


def decision(trial: FrozenTrial, count: int) -> str:
    """What was decided after ``count`` members: `GO_ON`, `STOP`, or "" before that."""
    kept = trial.user_attrs.get(verdict_key(count))
    return str(kept["decision"]) if kept else ""


# ---------------------------------------------------------------- the trial's own result


def mean_result(results: Sequence[Result]) -> Result:
    """Means of the scores of some trainings, in their order; their costs are sums.

    Scores and facts that not all of them have are left out.
    """
    scores = [name for name in results[0].scores if all(name in one.scores for one in results)]
    facts = [name for name in results[0].facts if all(name in one.facts for one in results)]
    return Result(
        stopped=False,
        scores={name: fmean(one.scores[name] for one in results) for name in scores},
        best_epoch=round(fmean(one.best_epoch for one in results)),
        epochs=round(fmean(one.epochs for one in results)),
        seconds=sum(one.seconds for one in results),
        cpu_seconds=sum(one.cpu_seconds for one in results),
        parameters=results[0].parameters,
        facts={name: fmean(one.facts[name] for one in results) for name in facts},
    )


def mean_outcome(found: Sequence[Ended], status: Any, reason: str = "") -> Outcome:
    """How a trial ended, from its members that count."""
    whole = [one for one in found if one.outcome.result is not None]
    return Outcome(
        status,
        reason,
        result=mean_result([one.result for one in whole]) if whole else None,
        wall_seconds=sum(one.outcome.wall_seconds for one in found),
        memory_megabytes=max((one.outcome.memory_megabytes for one in found), default=0.0),
    )
