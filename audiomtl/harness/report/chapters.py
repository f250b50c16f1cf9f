"""The chapter of a report on one experiment, from its runs: results, ablations, sweeps, costs, provenance.

Contents: `chapter`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import effects, experiment, replicates, seen
from audiomtl.harness.record.runs import (
    BestSet,
    arms,
    beside,
    choose,
    outcome,
    shown,
    studies,
)
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import figures, floors, group_intervals, sweeps, tables
from audiomtl.harness.report.blocks import Block, Chapter, Figure, Items, Section, Table, Text
from audiomtl.harness.report.html import confusion, curves, forest, standing
from audiomtl.names import safe_name


def chapter(file: ExperimentFile, runs: Sequence[Run], tracking: Tracking, folder: Path) -> Chapter:
    """The chapter; its PNG figures are drawn into ``folder``.

    Parameters
    ----------
    runs : all of the experiment, oldest first.
    """
    best = choose(file, runs)
    parts = [Section("", [Text(file.settings.description)])]
    if best is None:
        seeds = tables.joined(file.settings.seeds)
        missing = f"No complete best run on the seeds {seeds} yet: run make best-{file.name}."
        parts.append(Section("", [Text(missing)]))
    else:
        parts.append(Section("Results", _results(file, best, tracking, folder)))
        if file.ablations:
            parts.append(Section("Ablations", _ablations(file, best, runs, tracking)))
    parts += [Section(f"Sweep: study {swept.name}", sweeps.blocks(swept, folder)) for swept in studies(runs)]
    parts.append(Section("Cost", _cost(runs)))
    if best is not None:
        parts.append(Section("Provenance", [_provenance(file, best)]))
    return Chapter(file.name, parts)


# ---------------------------------------------------------------- sections


def _results(file: ExperimentFile, best: BestSet, tracking: Tracking, folder: Path) -> list[Block]:
    predicted = group_intervals.predictions(tracking, list(best.runs.values()))
    folds = replicates.of_predictions(file.settings, list(best.runs), predicted)
    spreads = 2 if folds and 1 < len(set(folds.values())) < len(folds) else 0
    scores = tables.scores(file, best)
    rows = [
        [
            key,
            *tables.over_folds(key, values, folds)[: 2 + spreads],
            *[tables.number(values[seed]) if seed in values else "" for seed in best.runs],
        ]
        for key, values in scores.items()
    ]
    parts: list[Block] = [Items(_facts(file, best, scores, tracking))]
    headline = group_intervals.headline(file, predicted, list((folds or {}).values()))
    of_floors = floors.of_runs(file, best)
    parts += standing.figure(file, scores, folds, headline, of_floors)
    if headline:
        parts += [tables.for_new_groups(headline.scores), Text(headline.text)]
    head = ["score", "mean", "95 % interval", *["SD over folds", "SD over seeds"][:spreads]]
    parts += [
        Table([*head, *[f"seed {seed}" for seed in best.runs]], rows),
        Text(replicates.told(folds)),
    ]
    parts += floors.table({file.name: (file, of_floors)})
    parts += floors.references([file])
    parts += _curves(file, best, tracking, folder)
    return [*parts, *confusion.figures(predicted)]


def _facts(file: ExperimentFile, best: BestSet, scores: Mapping[str, Any], tracking: Tracking) -> list[str]:
    found = tracking.client.get_experiment_by_name(file.name)
    looks = found.tags.get("test_looks", "0") if found else "0"
    seconds, parameters = best.values("cost/seconds").values(), best.values("parameters").values()
    lines = [
        f"Seeds: {tables.joined(best.runs)}" + _missing(file, best),
        f"Parameters: {tables.joined(sorted({f'{int(value):,}' for value in parameters}))}",
        (
            f"Seconds per training: {_seconds(median(seconds))} (median)"
            if seconds
            else "Seconds per training: not recorded"
        ),
        f"Evaluations on the test split, over all runs of this experiment: {looks}",
        (
            f"Code {best.code}, {tables.commits(best.runs.values())}; data {best.data}; on"
            f" {_machines(best.runs.values())}"
        ),
        f"Settings: {_versus_file(file, best)}",
    ]
    if best.older:
        lines.append(
            f"Not shown: {best.older} further complete best runs, repeated or with different code, data or"
            " settings"
        )
    shown_scores = {key.rpartition("/")[2] for key in scores}
    notes = getattr(config.family("settings", file.raw["model"]), "NOTES", {})
    lines += [note for score, note in notes.items() if score in shown_scores]
    return lines + seen.lines(file, best.runs, tracking)


def _curves(file: ExperimentFile, best: BestSet, tracking: Tracking, folder: Path) -> list[Block]:
    keys = [
        "train/loss",
        "validation/loss",
        f"train/{experiment.main_score(file)}",
        f"validation/{experiment.main_score(file)}",
    ]
    histories = {
        seed: {key: history for key in keys if (history := tracking.history(run.info.run_id, key))}
        for seed, run in best.runs.items()
    }
    if not any(histories.values()):
        return []
    name = f"{safe_name(file.name)}_learning_curves.png"
    best_epochs = best.values("best_epoch")
    figures.draw_curves(histories, best_epochs, folder / name)
    return [Figure(f"Learning curves of {file.name}", name, curves.drawings(histories), curves.NOTE)]


def _ablations(file: ExperimentFile, best: BestSet, runs: Sequence[Run], tracking: Tracking) -> list[Block]:
    main = experiment.main_score(file)
    direction = experiment.family_scores(file)[main]
    sense = "below 0 is better" if direction == "minimize" else "above 0 is better"
    others, own = beside(file, best.runs), arms(file, best, runs)
    given = {arm.name: arm.runs for arm in own if arm.pairs}
    found = effects.effects(file, best.runs, given, effects.predictions_of(tracking))
    rows = [["best", "", "", tables.number(found.best), str(len(best.runs)), "", ""]]
    rows += [tables.arm_row(arm, best, found) for arm in own]
    head = ["ablation", "difference to best", "95 % interval", f"{found.side}/{main}", "seeds", "question"]
    head += ["changes"]
    more = [["best", *map(tables.number, others.values())]]
    for arm in own:
        cells = [tables.number(arm.beside[name]) if name in arm.beside else "" for name in others]
        more += [[arm.name, *cells]] if any(cells) else []
    gone = sorted(
        {name for run in runs if (name := run.data.tags.get("ablation", "")) and name not in file.ablations}
    )
    parts: list[Block] = [
        Text(f"Code {best.code}; for differences, {sense}. {' '.join(tables.arms_told(found))}")
    ]
    parts += forest.figure(own, found, f"{found.side} {main}".replace("_", " "), direction)
    parts.append(Table(head, rows))
    if len(more) > 1:  # in a table of their own: the one above is wide
        parts.append(Text("Further scores of the same runs, on validation:"))
        parts.append(Table(["ablation", *others], more))
    if gone:
        parts.append(Text(f"Not shown: runs of {tables.joined(gone)}, which the file no longer has."))
    return parts


def _cost(runs: Sequence[Run]) -> list[Block]:
    groups: dict[str, list[Mapping[str, float]]] = {}
    for run in runs:
        kind, end = run.data.tags.get("kind", ""), outcome(run)
        own = "cost/wall_seconds" in run.data.metrics and "members" not in run.data.tags  # of no other run
        if own and end != "answered":
            groups.setdefault(f"{kind}, {end}", []).append(run.data.metrics)
    rows = []
    for name, costs in sorted(groups.items()):
        each = {
            key: [cost[key] for cost in costs if key in cost]
            for key in ("cost/seconds", "cost/cpu_seconds", "cost/memory_megabytes")
        }
        typical = [
            f"{median(each[key]):.4g}" if each[key] else "" for key in ("cost/seconds", "cost/cpu_seconds")
        ]
        memory = f"{max(each['cost/memory_megabytes']):.4g}" if each["cost/memory_megabytes"] else ""
        minutes = f"{sum(cost['cost/wall_seconds'] for cost in costs) / 60:.4g}"
        rows.append([name, str(len(costs)), *typical, memory, minutes])
    if not rows:
        return [Text("No finished trainings yet.")]
    head = [
        "runs",
        "trainings",
        "median seconds",
        "median CPU seconds",
        "largest memory, MB",
        "total minutes",
    ]
    told = "All recorded trainings, including those with different code, data and settings."
    return [Text(told), Table(head, rows)]


def _provenance(file: ExperimentFile, best: BestSet) -> Table:
    """What the best runs were computed from, and the command that computes them again."""

    def tag(name: str, digits: int | None = None) -> str:
        tags = [run.data.tags[name] for run in best.runs.values() if name in run.data.tags]
        return tables.joined(sorted({value[:digits] for value in tags}))

    path = _path(file)
    rows = [
        ["commit", tag("commit")],
        ["code that was run (hash)", best.code],
        ["data (hash)", best.data],
        ["packages, requirements.lock (hash)", tag("lock")],
        ["weights of the trained networks (hash)", tag("weights", 12)],
        ["device, Keras", tables.joined(part for part in (tag("device"), tag("keras")) if part)],
        ["machine", _machines(best.runs.values())],
        ["command", f"audiomtl best {file.name if path.parent.name == 'experiments' else path} --again"],
    ]
    return Table(["what", "value"], [row for row in rows if row[1] not in ("", "none")])


# ---------------------------------------------------------------- parts of text


def _versus_file(file: ExperimentFile, best: BestSet) -> str:
    own = config.scored_settings(file.raw)
    absent = object()
    paths = [
        path
        for path in sorted({*own, *best.settings})
        if own.get(path, absent) != best.settings.get(path, absent)
    ]
    if not paths:
        return f"as in {_path(file)}"
    return "different from the file: " + ", ".join(
        f"{path} = {shown(best.settings.get(path))} (file: {shown(own.get(path))})" for path in paths
    )


def _path(file: ExperimentFile) -> Path:
    """Of the file: as it was given, or with its folder alone where it was given in full."""
    return Path(file.path.parent.name, file.path.name) if file.path.is_absolute() else file.path


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _missing(file: ExperimentFile, best: BestSet) -> str:
    left = [seed for seed in file.settings.seeds if seed not in best.runs]
    return f"; missing: {tables.joined(left)}" if left else ""


def _machines(runs: Iterable[Run]) -> str:
    return tables.joined(sorted({run.data.tags.get("machine", "unknown") for run in runs}))
