"""Pruning of trials by asynchronous successive halving (Li et al., 2020), with a modified rule.

At epochs n, 3n, 9n ... (n is ``prune_after_epochs``), the rungs, a trial continues if its ``prune_on`` is
among the best third of the trials that reached this rung. With several metrics it also continues as long as
no other trial at that rung is better in all of them, whatever its ``prune_on``: it may belong to the Pareto
front. Optuna's pruner counts a rung as passed as soon as it has been queried, and Optuna has no pruner for
several objectives.

The scores are stored in the study: with one metric as Optuna's intermediate values, which its sampler also
reads; with several, for which Optuna does not support them, as the user attribute ``reached RUNG``.

Contents: `watched`, `note`, `should_prune`.
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
    if study.metric is not None:
        trial.report(_values(study, scores)[0], epochs)
    elif _is_rung(study, epochs):
        trial.set_user_attr(f"reached {epochs}", _values(study, scores))


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


def _is_rung(study: Study, epochs: int) -> bool:
    rung = study.prune_after_epochs
    while rung < epochs:
        rung *= REDUCTION_FACTOR
    return rung == epochs


def _towards(study: Study) -> str:
    """Direction of the first of `_values`: Optuna wants intermediate values in that of its one objective."""
    return study.direction or study.prune_direction


def _values(study: Study, scores: Mapping[str, float]) -> list[float]:
    """``prune_on`` in the direction of `_towards`; of several metrics these behind it."""
    pruned = scores[study.prune_on]
    return [
        pruned if study.prune_direction == _towards(study) else -pruned,
        *(scores[name] for name in study.metrics or ()),
    ]


def _reached(trial: Any, study: Study, rung: int) -> list[float] | None:
    if study.metric is not None:
        return [trial.intermediate_values[rung]] if rung in trial.intermediate_values else None
    return trial.user_attrs.get(f"reached {rung}")


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
