"""Ablations of an experiment, compared with its best runs.

Contents: `ablations`, `core`, `is_best`, `check_validation`.
"""

from dataclasses import replace

from rich.table import Table

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness import effects
from audiomtl.harness.experiment import main_score, on_test, train_runs
from audiomtl.harness.record import views
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.report import tables
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console


def ablations(file: ExperimentFile, *, again: bool, slots: int, threads: int) -> bool:
    """Train every ablation on every seed and print its difference to the best runs: see `effects`.

    Returns
    -------
    Whether every training completed.
    """
    if not file.ablations:
        console().print(f"{file.path}: no [ablation.*] tables; nothing to do")
        return True
    if not on_test(file.settings):
        check_validation(file)
    arms = [arm for arm in sorted(file.ablations) if not is_best(file, arm)]
    runs = train_runs(file, ["", *arms], again=again, slots=slots, threads=threads)
    of_arm = {
        arm: {seed: runs[arm, seed] for seed in file.settings.seeds if (arm, seed) in runs}
        for arm in ["", *arms]
    }
    complete = all(len(found) == len(file.settings.seeds) for found in of_arm.values())
    best = of_arm.pop("")
    if not best:
        console().print(f"{file.name}: the best runs failed; see the tag `reason` in MLflow")
        return False
    tracking = Tracking()
    best = effects.marked(file, best, tracking)
    found = effects.effects(file, best, of_arm, effects.predictions_of(tracking))
    table = Table(
        "ablation",
        "difference to best",
        "95 % interval",
        f"{found.side}/{main_score(file)}",
        "question",
        "changes",
    )
    table.add_row("best", "", "", f"{found.best:.4f}", "", "")
    for arm in sorted(file.ablations):
        changes = ", ".join(f"{path} = {value}" for path, value in sorted(file.ablations[arm].items()))
        if is_best(file, arm):
            table.add_row(arm, "same settings as the best run", "", "", "", changes)
        elif arm not in found.of:
            table.add_row(arm, "failed", "", "", "", changes)
        else:
            one = found.of[arm]
            limits = f"{one.low:+.4f} to {one.high:+.4f}" if one.low == one.low else ""
            star, score = " *" if one.significant else "", f"{found.best + one.value:.4f}"
            question = one.question or tables.EXPLORATORY
            table.add_row(arm, f"{one.value:+.4f}{star}", limits, score, question, changes)
    show_table(table)
    views.save_experiment(tracking, file)
    if found.side == "test":
        experiment = tracking.client.get_experiment_by_name(file.name)
        looks = experiment.tags.get("test_looks", "0") if experiment else "0"
        console().print(f"evaluations on test so far, over all runs of {file.name}: {looks}", highlight=False)
    for line in tables.arms_told(found):
        console().print(line)
    return complete


def core(file: ExperimentFile) -> ExperimentFile:
    """The file with its core ablations only: those with ``core = true``."""
    return replace(
        file, ablations={arm: changes for arm, changes in file.ablations.items() if arm in file.core}
    )


def is_best(file: ExperimentFile, arm: str) -> bool:
    """Whether an ablation changes nothing, because the best run has its settings."""
    return config.scored_settings(file.arm(arm)) == config.scored_settings(file.raw)


def check_validation(file: ExperimentFile) -> None:
    """Refuse to compare trainings on validation clips that they are trained on.

    Raises
    ------
    UserError : see above.
    """
    protocol = getattr(file.settings, "protocol", None)
    if protocol is not None and "validation" not in protocol.scored:
        raise UserError(
            f'{file.path}: protocol.train_on = "{protocol.train_on}": trainings are compared on validation'
            ' here, which must not be trained on: set protocol.train_on = "train"'
        )
