"""What was found, in one line per experiment: from the sweep over the best runs to the largest ablation.

Contents: `line`, `lines`.
"""

import math
from collections.abc import Sequence

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import effects, experiment, replicates
from audiomtl.harness.record.runs import BestSet, Swept, arms, choose, existing, studies
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import group_intervals, tables


def lines(names: list[str]) -> list[str]:
    """`line` of each experiment (name, or path that ends in ``.toml``) that has something to tell."""
    tracking = existing()
    if tracking is None:
        return []
    told = [line(file, tracking.runs(file.name), tracking) for file in config.load_experiments(names)]
    return [text for text in told if text]


def line(file: ExperimentFile, runs: Sequence[Run], tracking: Tracking) -> str:
    """What the runs of an experiment have shown; "" if there is neither a best run nor a finished study.

    Parts, separated by semicolons: of each study of one metric the score of trial 0 and that of its best
    trial; the main test score, with the interval for new groups where there is one, else that over the seeds;
    the ablation that differs most from the best runs.
    """
    parts = [_swept(swept) for swept in studies(runs) if not swept.ablation]
    if best := choose(file, runs):
        parts += [_tested(file, best, tracking), _ablated(file, best, runs, tracking)]
    parts = [part for part in parts if part]
    return f"{file.name}: {'; '.join(parts)}" if parts else ""


def _swept(swept: Swept) -> str:
    front = swept.front
    if len(swept.objectives) > 1 or not front:
        return ""
    [metric], number = swept.objectives, front[0]
    first = swept.scores(0) if 0 in swept.trials else []
    start = f"{first[0]:.4f} in trial 0, " if first and number else ""
    return f"{metric} {start}{swept.scores(number)[0]:.4f} in trial {number}"


def _tested(file: ExperimentFile, best: BestSet, tracking: Tracking) -> str:
    key = f"test/{experiment.main_score(file)}"
    values = best.values(key)
    if not values:
        return ""
    predicted = group_intervals.predictions(tracking, list(best.runs.values()))
    folds = replicates.of_predictions(file.settings, list(best.runs), predicted)
    seeds = f"{len(best.runs)} seed{'s' * (len(best.runs) > 1)}"
    headline = group_intervals.headline(file, predicted, list((folds or {}).values()))
    one = headline.scores.get(experiment.main_score(file)) if headline else None
    if headline is None or one is None or not math.isfinite(one.low):
        return f"{key} {tables.spread(key, values, folds)} over {seeds}"
    groups = " and ".join(headline.groups)
    return f"{key} {one.value:.4f} {tables.interval(one.low, one.high)} for new groups ({groups}), {seeds}"


def _ablated(file: ExperimentFile, best: BestSet, runs: Sequence[Run], tracking: Tracking) -> str:
    given = {arm.name: arm.runs for arm in arms(file, best, runs) if arm.pairs}
    found = effects.effects(file, best.runs, given, effects.predictions_of(tracking))
    if not found.of:
        return ""
    name = max(sorted(found.of), key=lambda name: abs(found.of[name].value))
    one = found.of[name]
    most = f"largest of {len(found.of)} ablations: " if len(found.of) > 1 else "ablation "
    return f"{most}{name} {one.value:+.4f} {tables.interval(one.low, one.high, '+.4f')}".strip()
