"""Ablations of an experiment, paired with its best runs by seed.

Contents: `ablations`, `core`, `is_best`, `differences`.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean

from rich.table import Table

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness.experiment import main_score, train_runs
from audiomtl.harness.record.store import Run
from audiomtl.harness.train.progress import console
from audiomtl.metrics import intervals


def ablations(file: ExperimentFile, *, again: bool, slots: int, threads: int) -> bool:
    """Train every ablation on every seed and print its difference to the best runs, paired by seed, on
    validation.

    Returns
    -------
    Whether every training completed.
    """
    if not file.ablations:
        console().print(f"{file.path}: no [ablation.*] tables; nothing to do")
        return True
    arms = [arm for arm in file.ablations if not is_best(file, arm)]
    runs = train_runs(file, ["", *arms], again=again, slots=slots, threads=threads)
    main = f"validation/{main_score(file)}"
    table = Table("ablation", main, "difference to best", "95 % interval (t, paired by seed)", "changes")
    complete = True
    for arm in ["", *sorted(file.ablations)]:
        changes = ", ".join(
            f"{path} = {value}" for path, value in sorted(file.ablations.get(arm, {}).items())
        )
        if arm and is_best(file, arm):
            table.add_row(arm, "", "", "same settings as the best run", changes)
            continue
        found = differences(file, runs, arm)
        complete &= found is not None
        if found is None:
            table.add_row(arm or "best", "failed", "", "", changes)
            continue
        value, difference, low, high = found
        interval = f"{low:+.4f} to {high:+.4f}" if arm and low == low else ""
        table.add_row(arm or "best", f"{value:.4f}", f"{difference:+.4f}" if arm else "", interval, changes)
    console().print(table)
    return complete


def core(file: ExperimentFile) -> ExperimentFile:
    """The file with its core ablations only: those with ``core = true``."""
    return replace(
        file, ablations={arm: changes for arm, changes in file.ablations.items() if arm in file.core}
    )


def is_best(file: ExperimentFile, arm: str) -> bool:
    """Whether an ablation changes nothing, because the best run has its settings."""
    return config.scored_settings(file.arm(arm)) == config.scored_settings(file.raw)


def differences(
    file: ExperimentFile, runs: Mapping[tuple[str, int], Run], arm: str
) -> tuple[float, float, float, float] | None:
    """(mean score, mean difference to best, low, high) on validation; None when a training is missing."""
    key = f"best/validation/{main_score(file)}"
    pairs = [(runs.get((arm, seed)), runs.get(("", seed))) for seed in file.settings.seeds]
    if any(run is None or base is None for run, base in pairs):
        return None
    values = [run.data.metrics[key] for run, _ in pairs if run]
    base = [run.data.metrics[key] for _, run in pairs if run]
    difference, low, high = intervals.paired_difference(values, base)
    return mean(values), difference, low, high
