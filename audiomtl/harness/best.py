"""Best runs on every seed, compared with the recorded scores.

Contents: `best`, `steps_reproduced`, `record_floors`, `record_intervals`.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.table import Table

from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.errors import UserError
from audiomtl.harness import floors, new_groups, replicates, score_tables, seen
from audiomtl.harness.experiment import (
    family_scores,
    rates_beside,
    scores_beside,
    scores_of,
    train_runs,
)
from audiomtl.harness.floors import Floor
from audiomtl.harness.record import runs as recorded_runs
from audiomtl.harness.record import views
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import clips_to_hear
from audiomtl.harness.report import floors as standing
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console
from audiomtl.harness.verify import again as repeated
from audiomtl.harness.verify import compare, origin, steps


def best(
    file: ExperimentFile, *, record_it: bool, again: bool, exact: bool, slots: int, threads: int
) -> bool:
    """Train the experiment on all its seeds and record its scores, or compare them with the recorded ones.

    Parameters
    ----------
    exact : every score of every seed must be bit-identical, whatever machine recorded it. With ``record_it``
        the record is renewed only if they are.

    Returns
    -------
    Whether every training completed and every recorded score was reproduced.
    """
    runs = train_runs(file, [""], again=again, slots=slots, threads=threads)
    missing = [seed for seed in file.settings.seeds if ("", seed) not in runs]
    if missing:
        console().print(
            f"{file.name}: no scores for seeds {missing}: their trainings failed; see the tag `reason` in"
            f" MLflow, fix the cause ([limits] is in {file.path}), and run the command again"
        )
        return False
    by_seed = {seed: runs["", seed] for seed in file.settings.seeds}
    trained = list(by_seed.values())
    got, beside = scores_of(file, trained), rates_beside(trained) | scores_beside(file, trained)
    own = floors.log(file, by_seed)
    score_tables.show(file, by_seed, {**got, **beside}, own)
    tracking = Tracking()
    for line in seen.lines(file, by_seed, tracking):
        console().print(f"{file.name}: {line}")
    if chosen := recorded_runs.choose(file, tracking.runs(file.name)):
        for line in standing.faults(file, standing.of_runs(file, chosen)):
            console().print(line)
    came_back = _recorded(file, got, trained, slots, threads, own, record_it=record_it, exact=exact)
    views.save_experiment(tracking, file)
    clips_to_hear.log(tracking, file, by_seed)
    return came_back


def _recorded(
    file: ExperimentFile,
    got: Mapping[str, Sequence[float]],
    trained: Sequence[Run],
    slots: int,
    threads: int,
    own: Mapping[str, Floor],
    *,
    record_it: bool,
    exact: bool,
) -> bool:
    """Record the scores, or compare them with the recorded ones: whether all were reproduced."""
    if record_it and not exact:
        return _record(file, got, trained, slots, threads, own)
    if not file.expected:
        console().print(
            f"{file.path}: no recorded scores to compare with; `audiomtl best {file.name} --record` writes"
            " [expected]"
        )
        return not exact
    if list(file.expected["recorded"]["seeds"]) != list(file.settings.seeds):
        console().print(
            f"{file.path}: [expected] was recorded for different seeds; `audiomtl best {file.name} --record`"
            " records it again"
        )
        return False
    came_back = _compared(file, got, threads, exact=exact) and _same_intervals(file, got, trained)
    if came_back and record_it:
        return _record(file, got, trained, slots, threads, own)
    return came_back


def _compared(file: ExperimentFile, got: Mapping[str, Sequence[float]], threads: int, *, exact: bool) -> bool:
    recorded = file.expected["recorded"]
    same = exact or compare.same_bits(recorded, threads)
    if not same and not steps_reproduced(file, recorded, threads):
        return False
    floors = {} if same else compare.floors_here(file)
    verdicts = compare.compare(file.expected, got, threads, family_scores(file), floors=floors, exact=exact)
    if unrecorded := sorted(got.keys() - file.expected.keys()):
        console().print(
            f"{file.path}: [expected] has no {', '.join(unrecorded)}: not checked", highlight=False
        )
    if moved := [one for one in verdicts if not one.reproduced]:
        show_table(compare.table(verdicts))
        console().print(f"{file.name}: {len(moved)} of {len(verdicts)} scores were not reproduced")
        return False
    console().print(f"{file.name}: {compare.summary(verdicts, recorded, threads)}", highlight=False)
    return not (exact and unrecorded)


def _same_intervals(file: ExperimentFile, got: Mapping[str, Sequence[float]], trained: Sequence[Run]) -> bool:
    """Whether the recorded intervals for new groups are those of the scores, where these are equal to the
    bit; other scores have others.
    """
    if any(list(got.get(name, ())) != one["per_seed"] for name, one in _scores(file).items()):
        return True
    runs = dict(zip(file.settings.seeds, trained, strict=True))
    changed = new_groups.differences(file.expected, new_groups.of_runs(file, runs, Tracking()))
    if changed:
        console().print(
            f"{file.path}: the recorded intervals for new groups of {', '.join(changed)} are not those of the"
            f" scores; `audiomtl best {file.name} --intervals` writes them again"
        )
    return not changed


def _scores(file: ExperimentFile) -> dict[str, Any]:
    return {name: one for name, one in file.expected.items() if name != "recorded"}


def steps_reproduced(file: ExperimentFile, recorded: Mapping[str, Any], threads: int) -> bool:
    """Whether the first steps of a training here give the recorded losses; True where none are recorded."""
    if not recorded.get("fingerprint"):
        console().print(f"{file.name}: no fingerprint is recorded: only the scores are compared")
        return True
    now = repeated.fingerprint(file.name, file.raw, recorded["seeds"][0], threads=threads)
    exact = compare.same_steps(recorded, threads)
    came_back, text = steps.compared(
        recorded["fingerprint"], now, exact=exact, rounding=recorded.get("fingerprint_rounding", ())
    )
    if not came_back:
        console().print(f"{file.name}: not reproduced: {text}")
    return came_back


def record_floors(file: ExperimentFile) -> None:
    """Compute the floors, and ceilings, of the recorded scores without any training, and write them into
    ``[expected]``.

    Raises
    ------
    UserError : nothing is recorded.
    """
    if not file.expected:
        raise UserError(
            f"{file.path}: no recorded scores to put floors beside; `audiomtl best {file.name} --record`"
            " writes both"
        )
    found = floors.floors(file)
    origin.write_floors(file, found)
    table = Table("score", "recorded", "floor", "what it is", "ceiling")
    for name, one in sorted(found.items()):
        recorded = file.expected.get(name, {}).get("mean")
        ceiling = ", ".join(f"{value:.4f} {label}" for label, value in sorted(one.ceilings.items()))
        shown = f"{recorded:.4f}" if recorded is not None else ""
        table.add_row(name, shown, f"{one.value:.4f}", one.by, ceiling)
    show_table(table)


def record_intervals(file: ExperimentFile) -> None:
    """Compute the intervals for new groups from the predictions of the runs that have the recorded scores,
    without any training, and write them into ``[expected]``.

    Raises
    ------
    UserError : nothing is recorded, or no such runs are on this machine.
    """
    if not file.expected:
        raise UserError(
            f"{file.path}: no recorded scores to put intervals beside; `audiomtl best {file.name} --record`"
            " writes both"
        )
    tracking = recorded_runs.existing()
    runs = new_groups.recorded_runs(file, tracking.runs(file.name)) if tracking else {}
    if tracking is None or not runs:
        raise UserError(
            f"{file.name}: the runs that gave the recorded scores are not on this machine: point"
            f" AUDIOMTL_RUNS to their folder, or record again: `audiomtl best {file.name} --record`"
        )
    found = new_groups.of_runs(file, runs, tracking)
    origin.write_new_groups(file, found, seen.seeds_to_record(file))
    table = Table("score", "all folds", "95 % interval for new groups")
    for name, one in found.items():
        limits = f"{one['low']:.4f} to {one['high']:.4f}" if "low" in one else f"none: {one['reason']}"
        table.add_row(name, f"{one['score']:.4f}" if "score" in one else "", limits)
    show_table(table)
    console().print(f"{file.path}: intervals for new groups written into [expected]")


def _record(
    file: ExperimentFile,
    got: Mapping[str, Sequence[float]],
    trained: Sequence[Run],
    slots: int,
    threads: int,
    own: Mapping[str, Floor],
) -> bool:
    wanted = [(file.name, file.raw, file.settings.seeds[0])]
    found = repeated.with_rounding(wanted, slots=slots, threads=threads).get(file.name)
    if found is None:
        return False
    losses, rounding = found
    if fault := steps.all_equal(losses):
        console().print(f"{file.name}: no fingerprint recorded: {fault}", highlight=False)
        losses, rounding = [], []
    settings: Any = file.settings
    origin.write(
        file,
        got,
        losses,
        origin.now(file.raw, file.settings),
        cpu_seconds=median(run.data.metrics["cost/cpu_seconds"] for run in trained),
        threads=threads,
        device=trained[0].data.tags.get("device", "CPU"),
        rounding=rounding,
        floors=own,
        folds=replicates.of_clips(settings, file.settings.seeds, catalog.clips(settings.data)),
        new_groups=new_groups.of_runs(file, dict(zip(settings.seeds, trained, strict=True)), Tracking()),
        unseen=seen.seeds_to_record(file),
    )
    console().print(f"{file.path}: [expected] recorded for seeds {list(file.settings.seeds)}")
    return True
