"""Pruning of trials by asynchronous successive halving (Li et al., 2020), with a modified rule.

At epochs n, 3n, 9n ... (n is ``prune_after_epochs``), the rungs, a trial continues if its ``prune_on`` is
among the best third of the trials that reached this rung. With several metrics it also continues as long as
no other trial at that rung is better in all of them, whatever its ``prune_on``: it may belong to the Pareto
front. Optuna's pruner counts a rung as passed as soon as it has been queried, and Optuna has no pruner for
several objectives.

What is compared at a rung is stored in the study as the user attribute ``reached RUNG``. Optuna's
intermediate values are the objective after each epoch, so that they and the trial's value are one quantity
(with several objectives Optuna has none). Where ``prune_on`` is the objective itself, they are compared.
Studies of earlier versions had ``prune_on`` as intermediate values, and are continued.

Contents: `watched`, `note`, `should_prune`, `rungs`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from audiomtl.harness.search.pareto import dominates
from audiomtl.settings.study import Study

REDUCTION_FACTOR = 3  # the best third goes on


def watched(study: Study) -> list[str]:
    """The epoch scores used for pruning: the objectives and ``prune_on``."""
    return list(dict.fromkeys([*study.objectives, study.prune_on]))


def note(trial: Any, study: Study, epochs: int, scores: Mapping[str, float]) -> None:
    """Store the scores of an Optuna trial after some epochs; repeating it changes nothing."""
    if _is_rung(study, epochs) and not _by_objective(study):
        # before the objective: a trial that has only that is of an earlier version (`_reached`)
        trial.set_user_attr(f"reached {epochs}", _values(study, scores))
    if study.metric is not None:
        trial.report(scores[study.metric], epochs)


def should_prune(
    trial: Any, trials: Iterable[Any], study: Study, epochs: int, scores: Mapping[str, float]
) -> bool:
    """Whether a trial should stop after some epochs, compared with all ``trials`` of its study that reached
    this epoch.

    The verdict is stored before it is acted on, so that a trial killed in between is judged alike when it is
    replayed.
    """
    if not _is_rung(study, epochs):
        return False
    verdict = trial.user_attrs.get(f"rung {epochs}")
    if verdict is None:
        others = [
            values
            for other in trials
            if other.number != trial.number and (values := _reached(other, study, epochs))
        ]
        mine = _values(study, scores)
        verdict = (
            "go on"
            if _among_best(mine[0], [values[0] for values in others], study) or _unbeaten(mine, others, study)
            else "stop"
        )
        trial.set_user_attr(f"rung {epochs}", verdict)
    return bool(verdict == "stop")


def rungs(study: Study, epochs: int) -> frozenset[int]:
    """Numbers of epochs after which a trial of ``epochs`` may be stopped."""
    return frozenset(number for number in range(1, epochs) if _is_rung(study, number))


def _is_rung(study: Study, epochs: int) -> bool:
    rung = study.prune_after_epochs
    while rung < epochs:
        rung *= REDUCTION_FACTOR
    return rung == epochs


def _by_objective(study: Study) -> bool:
    """Whether trials are pruned by their one objective."""
    return study.prune_on == study.metric and study.prune_direction == study.direction


def _towards(study: Study) -> str:
    """Direction of the first of `_values`: that of the one objective."""
    return study.direction or study.prune_direction


def _values(study: Study, scores: Mapping[str, float]) -> list[float]:
    """``prune_on`` in the direction of `_towards`; of several metrics these behind it."""
    pruned = scores[study.prune_on]
    return [
        pruned if study.prune_direction == _towards(study) else -pruned,
        *(scores[name] for name in study.metrics or ()),
    ]


def _reached(trial: Any, study: Study, rung: int) -> list[float] | None:
    values: list[float] | None = trial.user_attrs.get(f"reached {rung}")
    if values is None and study.metric is not None and rung in trial.intermediate_values:
        return [trial.intermediate_values[rung]]
    return values


def _among_best(value: float, others: list[float], study: Study) -> bool:
    upwards = _towards(study) == "maximize"
    reached = sorted([*others, value], reverse=upwards)
    last = reached[max(0, len(reached) // REDUCTION_FACTOR - 1)]
    return value >= last if upwards else value <= last


def _unbeaten(mine: list[float], others: list[list[float]], study: Study) -> bool:
    """Whether no other trial dominates this one so far."""
    directions = list(study.objectives.values())
    several = study.metric is None and not any(map(math.isnan, mine[1:]))
    return several and not any(dominates(values[1:], mine[1:], directions) for values in others)
