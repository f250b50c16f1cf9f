"""What an experiment's trainings cost, and which difference they can detect.

The difference is what a paired comparison of an ablation with the best run finds in 80 % of cases at a
two-sided level of 5 %. Its replicates are the test folds, each the mean of its seeds; where all seeds test
the same clips they are the seeds, and the difference holds for these clips alone. Its spread is that of the
recorded ablations, else that of the recorded scores, as if ablation and best run had nothing in common,
which is the worst case.

Contents: `price`, `Design`, `detectable`, `seeds_needed`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import ablations, experiment, replicates, terminal
from audiomtl.harness.record.runs import arms, choose, existing, outcome
from audiomtl.harness.record.store import Run
from audiomtl.settings.replicates import folds_of_seeds

LEVEL, POWER = 0.05, 0.8
WANTED = 0.02  # a difference that is worth knowing
QUANTILES = 2000  # at which the power is averaged
MOST_SEEDS = 100  # per fold, that are tried


@dataclass(frozen=True)
class Design:
    """Replicates of a paired difference, and how they vary."""

    folds: int
    seeds: int  # per fold
    between: float  # standard deviation of the true differences of folds; 0 with one fold
    within: float  # standard deviation over the seeds of a fold
    source: str  # what the spread is from, for people

    def detectable(self, seeds: int) -> float:
        """The smallest difference that ``seeds`` per fold detect; NaN where nothing can be said."""
        if self.folds > 1:
            error = math.sqrt((self.between**2 + self.within**2 / seeds) / self.folds)
            return detectable(error, self.folds - 1)
        return detectable(self.within / math.sqrt(seeds), seeds - 1) if seeds > 1 else math.nan


def price(names: list[str], slots: int, *, core: bool = False) -> str:
    """Number and estimated minutes of the trainings (best runs and ablations), and below the difference that
    they can detect, per experiment.

    Seconds of processor time of one training, which other work on the machine does not stretch: the median of
    the recorded best runs and ablations, else of complete trials, else ``cpu_seconds_per_training`` in the
    file's ``[expected.recorded]``. Arms that equal the best run are no trainings.
    """
    files = config.load_experiments(names)
    files = [ablations.core(file) for file in files] if core else files
    tracking = existing()
    lines, trainings, minutes, unknown = [], 0, 0.0, []
    for file in files:
        others = sum(not ablations.is_best(file, arm) for arm in file.ablations)
        count = len(file.settings.seeds) * (1 + others)
        trainings += count
        text = (
            f"{file.name}: {count} trainings (best and {others} ablations, {len(file.settings.seeds)} seeds"
            " each)"
        )
        runs = tracking.runs(file.name) if tracking else []
        seconds = _recorded_seconds(runs)
        seconds = seconds or float(file.expected.get("recorded", {}).get("cpu_seconds_per_training", 0))
        if seconds:
            minutes += count * seconds / slots / 60
            text += (
                f", {terminal.minutes(count * seconds / slots)}: {seconds:.0f} s of CPU time each,"
                f" {slots} in parallel"
            )
        else:
            unknown.append(file.name)
            text += ", duration unknown: no recorded runs"
        lines.append(text)
        lines += [f"  {line}" for line in _told(file, runs, seconds / slots / 60)]
    if len(files) > 1:
        rest = f" plus those of {', '.join(unknown)}" if unknown else ""
        lines.append(
            f"total: {trainings} trainings, {terminal.minutes(60 * minutes)}{rest}; finished runs are not"
            " repeated"
        )
    return "\n".join(lines)


def _recorded_seconds(runs: Iterable[Run]) -> float:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for run in runs:
        if outcome(run) == "complete" and "cost/cpu_seconds" in run.data.metrics:
            seconds[run.data.tags.get("kind") in ("best", "ablation")].append(
                run.data.metrics["cost/cpu_seconds"]
            )
    return median(seconds[True] or seconds[False] or [0.0])


# ---------------------------------------------------------------- the difference


def detectable(error: float, freedom: int, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest true difference that a paired t test finds with the given power.

    Parameters
    ----------
    error : standard error of the mean difference. freedom : its degrees of freedom, >= 1.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri, ndtr, stdtrit

    if error == 0:
        return 0.0
    # critical value by estimated standard errors, over the distribution of what is estimated
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    limits = stdtrit(freedom, 1 - level / 2) * np.sqrt(chdtri(freedom, shares) / freedom)

    def lacking(shift: float) -> float:  # shift: true difference in standard errors
        return float(np.mean(ndtr(shift - limits) + ndtr(-shift - limits))) - power

    return error * float(brentq(lacking, 0.0, 10.0 + float(limits.max())))


def seeds_needed(design: Design, difference: float) -> int | None:
    """Seeds per fold that detect a difference; None where no number of seeds does."""
    for seeds in range(1, MOST_SEEDS + 1):
        if design.detectable(seeds) <= difference:
            return seeds
    return None


def design_of(file: ExperimentFile, runs: Sequence[Run]) -> Design | None:
    """The design of an experiment, from its recorded runs or ``[expected]``; None without either, or where
    nothing tells which seeds test the same clips.
    """
    main = experiment.main_score(file)
    tested = experiment.on_test(file.settings)
    best = choose(file, runs)
    rows = []
    if best is not None:
        for arm in arms(file, best, runs):
            if len(arm.pairs) == len(best.runs) >= 2:
                rows.append({seed: one - other for seed, (one, other) in arm.pairs.items()})
    score = file.expected.get(f"{'test' if tested else 'validation'}/{main}")
    if rows:
        source, scale = f"median spread of {len(rows)} recorded ablations on validation", 1.0
    elif score and len(score["per_seed"]) > 1:
        rows = [dict(zip(file.expected["recorded"]["seeds"], map(float, score["per_seed"]), strict=True))]
        # of two that have nothing in common
        source, scale = "[expected], as if ablation and best run varied independently", math.sqrt(2)
    else:
        return None
    folds = _folds(file, list(rows[0]))
    if folds is None:
        return None
    found = [_spread(row, folds) for row in rows]
    between, within = (scale * math.sqrt(median(one[k] ** 2 for one in found)) for k in (0, 1))
    count = len(set(folds.values()))
    return Design(count, len(folds) // count, between, within, source)


def _spread(values: Mapping[int, float], folds: Mapping[int, int]) -> tuple[float, float]:
    """Standard deviations between folds, less what seeds add to it, and within them.

    With one seed per fold the two cannot be told apart: all of it counts as between folds.
    """
    by_fold: dict[int, list[float]] = {}
    for seed, value in values.items():
        by_fold.setdefault(folds[seed], []).append(value)
    if len(by_fold) < 2:
        return 0.0, float(np.std(list(values.values()), ddof=1))
    each, rest = len(values) / len(by_fold), len(values) - len(by_fold)
    squares = sum((value - float(np.mean(own))) ** 2 for own in by_fold.values() for value in own)
    within = math.sqrt(squares / rest) if rest else 0.0
    means = [float(np.mean(own)) for own in by_fold.values()]
    return math.sqrt(max(float(np.var(means, ddof=1)) - within**2 / each, 0.0)), within


def _folds(file: ExperimentFile, seeds: Sequence[int]) -> dict[int, int] | None:
    """The test fold of each seed, from the settings or ``[expected]``; None where neither tells it."""
    protocol = getattr(file.settings, "protocol", None)
    if protocol is None:
        return dict.fromkeys(seeds, 0)
    if found := folds_of_seeds(protocol, seeds):
        return found
    recorded = file.expected.get("recorded", {})
    known = replicates.of_expected(file.settings, recorded) if recorded else None
    return {seed: known[seed] for seed in seeds} if known and set(seeds) <= set(known) else None


def _told(file: ExperimentFile, runs: Sequence[Run], minutes_each: float) -> list[str]:
    """Lines on the difference that the design detects, and what `WANTED` would cost."""
    design = design_of(file, runs)
    main = experiment.main_score(file)
    if design is None:
        return [f"detectable difference in {main}: unknown, no scores of known folds are recorded"]
    if not design.between and not design.within:
        return [
            f"detectable difference in {main}: unknown, all recorded values are equal, so that nothing tells"
            f" how much they vary ({design.source.partition(',')[0]})"
        ]
    now = design.detectable(design.seeds)
    several = design.folds > 1
    each = f"{design.seeds} seeds" if design.seeds > 1 else "one seed"
    what = f"{design.folds} test folds of {each}" if several else f"{design.seeds} seeds"
    if not math.isfinite(now):
        return [f"detectable difference in {main}: none with {what}"]
    lines = [
        f"detectable difference in {main}: {now:.3f} (80 % power, two-sided 5 %, paired over {what};"
        f" {design.source})"
    ]
    if not several:
        lines.append("all seeds test the same clips: more seeds tell nothing of new groups, more groups do")
    if now <= WANTED:
        return lines
    if several and design.seeds == 1:
        return lines + _one_seed(design, minutes_each)
    needed = seeds_needed(design, WANTED)
    if needed is not None:
        further = design.folds * (needed - design.seeds)
        cost = f", {terminal.minutes(120 * further * minutes_each)}" if minutes_each else ""
        lines.append(
            f"{WANTED} would need {needed} seeds{' per fold' if several else ''}: {further} further trainings"
            f" each of the best run and of an ablation{cost}"
        )
    elif several and design.detectable(MOST_SEEDS) > WANTED:
        least = design.detectable(MOST_SEEDS)
        lines.append(
            f"{WANTED} cannot be had with more seeds: the {design.folds} folds differ, and with any number of"
            f" seeds the limit is {least:.3f}; it takes more groups, in more folds"
        )
    else:
        lines.append(f"{WANTED} would need more than {MOST_SEEDS} seeds")
    return lines


def _one_seed(design: Design, minutes_each: float) -> list[str]:
    """What `WANTED` would cost with one seed per fold, which does not tell folds and seeds apart: at least
    the seeds that are needed if the whole spread is theirs.
    """

    def cost(seeds: int) -> str:
        further = design.folds * seeds
        minutes = f" ({terminal.minutes(120 * further * minutes_each)})" if minutes_each else ""
        return f"{further} further trainings each of the best run and of an ablation{minutes}"

    best = replace(design, between=0.0, within=design.between)  # if the folds do not differ
    needed = seeds_needed(best, WANTED)
    least = (
        f"{WANTED} would need at least {needed} seeds per fold: {cost(needed - 1)}, if the whole spread is"
        " that of the seeds"
        if needed
        else f"{WANTED} would need more than {MOST_SEEDS} seeds per fold, even if the whole spread is that"
        " of the seeds"
    )
    return [
        least,
        "one seed per fold does not tell how much of it is that of the folds, which more seeds cannot remove;"
        f" a second seed per fold does: {cost(1)}",
    ]
