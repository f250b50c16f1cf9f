"""`audiomtl best NAME --refit`: the best runs' settings, trained on validation clips as well.

A validation split chooses settings, epochs and numbers of ``[decoding]``. When they are chosen, its clips can
be trained on, too; and where nothing is to be scored, those of test as well. The number of epochs is fixed
before: that of the settings where they keep the last epoch or lower the learning rate by a cosine, which ends
with it; else the median of the best epochs of the recorded best runs. Numbers of ``[decoding]`` are those of
the best run with the same seed. The last epoch's weights are kept.

Runs have the tag ``kind`` = ``refit``. Their test scores stand beside those of the best runs and are never
recorded in ``[expected]``: for that the experiment itself sets ``protocol.train_on``.

Contents: `refit`, `settings_of`, `chosen`, `of_seeds`.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.table import Table

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness import experiment
from audiomtl.harness.experiment import Planned
from audiomtl.harness.record import provenance, runs
from audiomtl.harness.record.store import Run, Tracking, server_log
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.forkserver import device, start_forkserver
from audiomtl.harness.train.progress import console

KIND = "refit"
TOLD = {
    "train_and_validation": "train and validation splits",
    "all": "every clip, those of test among them: it has no score",
}


def refit(file: ExperimentFile, *, again: bool, slots: int, threads: int) -> bool:
    """Train the experiment's settings on train and validation clips, or all, on every seed; print the test
    scores beside those of the best runs.

    Returns
    -------
    Whether every training completed.

    Raises
    ------
    UserError : nothing has chosen the number of epochs; settings that cannot be refitted.
    """
    start_forkserver(file.raw["model"], server_log())
    tracking = Tracking()
    recorded = runs.choose(file, tracking.runs(file.name))
    best = dict(recorded.runs) if recorded else {}
    _, text = settings_of(file, best)
    on = device(file.raw["model"], server_log())
    planned = []
    for one in experiment.plan(file, [""], threads, on):
        raw, _ = settings_of(file, best, _numbers(file, best, one.seed, tracking))
        training = provenance.training_key(raw, one.seed, one.data, threads, on)
        planned.append(
            Planned(
                "",
                raw,
                one.seed,
                training,
                provenance.scores_key(training, raw),
                one.data,
                other_kind=KIND,
                text=f"{file.settings.description}\n\nRefit of {file.name} with seed {one.seed}: {text}.",
            )
        )
    found = experiment.train_planned(file, planned, again=again, slots=slots, threads=threads)
    _show(file, {seed: run for (_, seed), run in found.items()}, best)
    console().print(
        f"{file.name}: refitted on {text}; `audiomtl export {file.name} OUT --refit` exports it",
    )
    return len(found) == len(planned)


def _lists(file: ExperimentFile) -> list[str]:
    """Settings of ``[decoding]`` of whose numbers validation chooses one."""
    return [
        path
        for path, value in config.flatten(file.raw).items()
        if path.startswith("decoding.") and isinstance(value, list) and len(value) > 1
    ]


def _numbers(file: ExperimentFile, best: dict[int, Run], seed: int, tracking: Tracking) -> dict[str, Any]:
    """The numbers of ``[decoding]`` that the best run of a seed has chosen.

    Raises
    ------
    UserError : there is no such run.
    """
    if not (lists := _lists(file)):
        return {}
    if seed not in best:
        raise UserError(
            f"{file.path}: --refit: no recorded best run of seed {seed} says which number of {lists[0]} to"
            f" take; run `audiomtl best {file.name}` first, or give one number"
        )
    family = config.family("model", file.raw["model"])
    with tempfile.TemporaryDirectory() as folder:
        place = tracking.client.download_artifacts(best[seed].info.run_id, "model", folder)
        chosen = family.chosen_decoding(family.load(Path(place)))
    return {path: chosen[path] for path in lists}


def settings_of(
    file: ExperimentFile, best: dict[int, Run], numbers: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], str]:
    """Raw settings of the refit, and what it is trained on, in words.

    Parameters
    ----------
    best : the recorded best runs by seed. numbers : of ``[decoding]``, those in the place of lists; the first
        of each by default.

    Raises
    ------
    UserError : see `refit`.
    """
    raw, settings = file.raw, file.settings
    protocol = getattr(settings, "protocol", None)
    if protocol is None or protocol.leaky:
        raise UserError(
            f"{file.path}: --refit needs a protocol that divides clips, and protocol.leaky = false"
        )
    wanted = settings.refit.train_on if settings.refit else "train_and_validation"
    flat = config.flatten(file.raw)
    changes: dict[str, Any] = {"protocol.train_on": wanted}
    changes |= {path: flat[path][0] for path in _lists(file)} | dict(numbers or {})
    training = getattr(settings, "training", None)
    epochs = ""
    if training is not None:
        count = training.epochs
        if settings.refit and settings.refit.epochs:
            count = settings.refit.epochs
        elif training.keep == "best" and file.raw["optimizer"]["schedule"] != "cosine":
            if not best:
                raise UserError(
                    f"{file.path}: --refit: no recorded best run says after how many epochs to stop; run"
                    f" `audiomtl best {file.name}` first, or set refit.epochs"
                )
            count = round(median(run.data.metrics["best_epoch"] for run in best.values()))
        changes |= {"training.keep": "last", "training.patience": 0, "training.epochs": count}
        epochs = f", {count} epochs"
    changed = config.override(raw, changes)
    config.settings_of(changed, f"{file.path}: --refit")
    return changed, f"{TOLD[wanted]}{epochs}"


def chosen(file: ExperimentFile, seed: int | None) -> Run:
    """The refit with the experiment's settings as they are now: of a seed, or of the first.

    Raises
    ------
    UserError : there is none.
    """
    found = of_seeds(file)
    if not found or (seed is not None and seed not in found):
        which = f" of seed {seed}" if seed is not None else ""
        raise UserError(
            f"{file.path}: no recorded refit{which} with these settings; run `audiomtl best {file.name}"
            " --refit` first"
        )
    return found[seed if seed is not None else min(found)]


def of_seeds(file: ExperimentFile) -> dict[int, Run]:
    """The refits with the experiment's settings as they are now, by seed."""
    tracking = runs.existing()
    best = runs.choose(file, tracking.runs(file.name)) if tracking else None
    raw, _ = settings_of(file, dict(best.runs) if best else {})
    lists = _lists(file)  # of which the best runs choose
    own = {path: value for path, value in config.scored_settings(raw).items() if path not in lists}
    found: dict[int, Run] = {}
    for run in tracking.runs(file.name, f"tags.kind = '{KIND}'") if tracking else []:
        same = runs.trained(run)
        if runs.outcome(run) == "complete" and all(same.get(path) == value for path, value in own.items()):
            found[int(run.data.tags["seed"])] = run
    return found


def _show(file: ExperimentFile, refitted: dict[int, Run], best: dict[int, Run]) -> None:
    table = Table("score", "best runs", "refit", "seeds")
    for name in experiment.family_scores(file):
        key = f"test/{name}"
        both = [seed for seed, run in refitted.items() if key in run.data.metrics]
        if not both:
            continue
        before = [
            best[seed].data.metrics[key] for seed in both if seed in best and key in best[seed].data.metrics
        ]
        after = mean(refitted[seed].data.metrics[key] for seed in both)
        table.add_row(key, f"{mean(before):.4f}" if before else "", f"{after:.4f}", ", ".join(map(str, both)))
    if table.row_count:
        show_table(table)
