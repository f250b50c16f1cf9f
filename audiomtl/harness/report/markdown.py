"""From MLflow to Markdown with figures: results, ablations, sweeps and costs.

The report describes the runs themselves: settings are their parameters, and no table mixes code, data or
settings. The runs of one such set are taken together, and one set is chosen (`choose`): of the sets that
cover the most of the experiment's seeds one whose settings are those of the file, and of these the newest. In
it, the newest complete run of a seed counts. An ablation is what ran under the same code and data with the
settings of the set and the arm's changes, whatever its run was called (an arm that another arm or an earlier
best run had trained is not trained again).

The same runs give the same bytes: no times, run ids or absolute paths. Scores have 4 decimals, other numbers
4 digits.

Contents: `write`.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness import effects, experiment, replicates, seen
from audiomtl.harness.record.runs import (
    SCORED,
    BestSet,
    Swept,
    arms,
    beside,
    choose,
    existing,
    outcome,
    shown,
    studies,
)
from audiomtl.harness.record.store import Run, Tracking, runs_folder
from audiomtl.harness.report import figures, floors, group_intervals, heat_map, tables
from audiomtl.harness.report import results as committed
from audiomtl.harness.search import pareto
from audiomtl.names import safe_name
from audiomtl.settings.toml import write as write_file

# ---------------------------------------------------------------- report


def write(names: list[str], folder: Path | None, readme: Path | None, results: Path | None = None) -> str:
    """Write ``report.md`` and its figures; update the committed pages.

    Parameters
    ----------
    names : experiments, or paths that end in ``.toml``; none: every one in ``experiments/`` that has runs.
    folder : where to; ``None`` is ``runs/report``.
    readme : also put the small results table between the markers of this file.
    results : also put all results tables between the markers of this file. Without ``readme`` only if it
        exists.

    Returns
    -------
    What was written where, for people.

    Raises
    ------
    UserError : an unknown name, an experiment without runs, or, with ``readme``, a page without markers;
        nothing is written then.
    """
    files = config.load_experiments(list(names))
    pages = [committed.read(readme, large=False)] if readme else []
    pages += [committed.read(results, large=True)] if readme and results else []
    tracking, place = existing(), os.path.relpath(runs_folder())
    recorded = {file.name: tracking.runs(file.name) if tracking else [] for file in files}
    for file in files if names else []:
        if not recorded[file.name]:
            raise UserError(f"no runs of {file.name} in {place}/: run make best-{file.name}")
    files = [file for file in files if recorded[file.name]]
    if not files or tracking is None:
        raise UserError(
            f"no runs of any experiment in {place}/: run make best-NAME, where NAME is a file in experiments/"
        )
    folder = folder or runs_folder() / "report"
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(
        [
            "# Report",
            committed.NOTE,
            *(_chapter(file, recorded[file.name], tracking, folder) for file in files),
        ]
    )
    path = folder / "report.md"
    write_file(path, text + "\n")
    said = [f"{os.path.relpath(path)}: tables and figures of {', '.join(file.name for file in files)}"]
    if pages:
        said.append(committed.update(pages, tracking))
    elif results and results.is_file():
        said.append(_update_in_passing(results, tracking))
    return "\n".join(said)


def _update_in_passing(path: Path, tracking: Tracking) -> str:
    """The page of results written in passing: a page without markers is no mistake then."""
    try:
        page = committed.read(path, large=True)
    except UserError as error:
        return f"{error}; left unchanged"
    return committed.update([page], tracking)


def _chapter(file: ExperimentFile, runs: Sequence[Run], tracking: Tracking, folder: Path) -> str:
    best = choose(file, runs)
    parts = [f"## {file.name}", file.settings.description]
    if best is None:
        parts.append(
            f"No complete best run on the seeds {tables.joined(file.settings.seeds)} yet: run make"
            f" best-{file.name}."
        )
    else:
        parts += _results_part(file, best, tracking, folder)
        if file.ablations:
            parts += ["### Ablations", *_ablations_part(file, best, runs, tracking)]
    for swept in studies(runs):
        parts += _sweep_part(swept, folder)
    return "\n\n".join([*parts, "### Cost", *_cost_part(runs)])


def _results_part(file: ExperimentFile, best: BestSet, tracking: Tracking, folder: Path) -> list[str]:
    found = tracking.client.get_experiment_by_name(file.name)
    looks = found.tags.get("test_looks", "0") if found else "0"
    seconds, parameters = best.values("cost/seconds").values(), best.values("parameters").values()
    predicted = group_intervals.predictions(tracking, list(best.runs.values()))
    folds = replicates.of_predictions(file.settings, list(best.runs), predicted)
    spreads = 2 if folds and 1 < len(set(folds.values())) < len(folds) else 0
    rows = [
        [
            key,
            *tables.over_folds(key, values, folds)[: 2 + spreads],
            *[tables.number(values[seed]) if seed in values else "" for seed in best.runs],
        ]
        for key, values in tables.scores(file, best).items()
    ]
    lines = [
        f"- Seeds: {tables.joined(best.runs)}" + _missing(file, best),
        f"- Parameters: {tables.joined(sorted({f'{int(value):,}' for value in parameters}))}",
        (
            f"- Minutes per training: {median(seconds) / 60:.4g} (median)"
            if seconds
            else "- Minutes per training: not recorded"
        ),
        f"- Evaluations on the test split, over all runs of this experiment: {looks}",
        (
            f"- Code {best.code}, {_commits(best.runs.values())}; data {best.data}; on"
            f" {_machines(best.runs.values())}"
        ),
        f"- Settings: {_versus_file(file, best)}",
    ]
    if best.older:
        lines.append(
            f"- Not shown: {best.older} further complete best runs, repeated or with different code, data or"
            " settings"
        )
    shown_scores = {key.rpartition("/")[2] for key in tables.scores(file, best)}
    notes = getattr(config.family("settings", file.raw["model"]), "NOTES", {})
    lines += [f"- {note}" for score, note in notes.items() if score in shown_scores]
    lines += [f"- {line}" for line in seen.lines(file, best.runs, tracking)]
    parts = ["### Results", "\n".join(lines)]
    if headline := group_intervals.headline(file, predicted, list((folds or {}).values())):
        parts += [tables.for_new_groups(headline.scores), headline.text]
    head = ["score", "mean", "95 % interval", *["SD over folds", "SD over seeds"][:spreads]]
    parts += [
        tables.markdown([*head, *[f"seed {seed}" for seed in best.runs]], rows),
        replicates.told(folds),
    ]
    if beside_floors := floors.table({file.name: (file, floors.of_runs(file, best))}):
        parts.append(beside_floors)
    if published := floors.references([file]):
        parts.append(published)
    name = f"{safe_name(file.name)}_learning_curves.png"
    keys = [
        "train/loss",
        "validation/loss",
        f"train/{experiment.main_score(file)}",
        f"validation/{experiment.main_score(file)}",
    ]
    curves = {
        seed: {key: history for key in keys if (history := tracking.history(run.info.run_id, key))}
        for seed, run in best.runs.items()
    }
    if any(curves.values()):
        figures.draw_curves(curves, best.values("best_epoch"), folder / name)
        parts.append(f"![Learning curves of {file.name}]({name})")
    return parts


def _ablations_part(
    file: ExperimentFile, best: BestSet, runs: Sequence[Run], tracking: Tracking
) -> list[str]:
    main = experiment.main_score(file)
    direction = experiment.family_scores(file)[main]
    sense = "below 0 is better" if direction == "minimize" else "above 0 is better"
    others, own = beside(file, best.runs), arms(file, best, runs)
    given = {arm.name: arm.runs for arm in own if arm.pairs}
    found = effects.effects(file, best.runs, given, effects.predictions_of(tracking))
    rows = [["best", "", "", tables.number(found.best), str(len(best.runs)), "", ""]]
    rows[0] += [tables.number(value) for value in others.values()]
    for arm in own:
        cells = [tables.number(arm.beside[name]) if name in arm.beside else "" for name in others]
        rows.append(tables.arm_row(arm, best, found) + cells)
    head = ["ablation", "difference to best", "95 % interval", f"{found.side}/{main}", "seeds", "question"]
    head += ["changes", *others]
    gone = sorted(
        {name for run in runs if (name := run.data.tags.get("ablation", "")) and name not in file.ablations}
    )
    return [
        f"Code {best.code}; for differences, {sense}. {' '.join(tables.arms_told(found))}",
        tables.markdown(head, rows),
        *([f"Not shown: runs of {tables.joined(gone)}, which the file no longer has."] if gone else []),
    ]


def _sweep_part(swept: Swept, folder: Path) -> list[str]:
    counts = Counter(outcome(run) for run in swept.trials.values())
    named = ["complete", "pruned", "failed", "answered"]
    counted = [
        f"{counts[name]} {'copied' if name == 'answered' else name}"
        for name in [*named, *sorted(set(counts) - set(named))]
    ]
    lines = [f"- Trials: {len(swept.trials)} ({', '.join(counted)})"]
    if swept.ablation:
        lines.append(f"- Sweeps the ablation {swept.ablation}")
    codes: dict[str, list[Run]] = {}
    for run in swept.trials.values():
        codes.setdefault(run.data.tags.get("code", "unknown"), []).append(run)
    lines += [f"- Code {code}, {_commits(runs)}: {len(runs)} trials" for code, runs in codes.items()]
    if swept.older:
        lines.append(
            f"- Not shown: {swept.older} older studies of this name, with a different search space or fixed"
            " settings"
        )
    parts = [f"### Sweep: study {swept.name}", "\n".join(lines)]
    front = swept.front
    if not front:
        return [*parts, "No complete trials yet."]
    if len(swept.objectives) > 1:
        return [*parts, *_front_part(swept, front, folder)]
    best = front[0]
    [(metric, direction)] = swept.objectives.items()
    lines.insert(1, f"- Best: trial {best}, {metric} {swept.scores(best)[0]:.4f} ({direction}d)")
    parts[1] = "\n".join(lines)
    found, why = _importances(swept)
    rows = []
    for path in sorted(swept.paths, key=lambda path: (-found.get(path, -1.0), path)):
        cells = [swept.value(number, path) if number in swept.trials else "" for number in (0, best)]
        rows.append([path, *cells, f"{found[path]:.3f}" if path in found else ""])
    parts.append(
        tables.markdown(["setting", "trial 0 (experiment)", f"trial {best} (best)", "importance"], rows)
    )
    if found:
        parts.append(
            "Importance is the relative influence of a setting on whether a trial is among the best quarter"
            f" (PED-ANOVA), over the {sum(outcome(run) in SCORED for run in swept.trials.values())} trials"
            " with a score. Pruned trials have no score, so the importance of a setting whose bad values were"
            " pruned is underestimated."
        )
    else:
        parts.append(f"No importances: {why}.")
    name = f"study_{safe_name(swept.name)}_history.png"
    figures.draw_history(swept, folder / name)
    parts += [f"![History of study {swept.name}]({name})", *heat_map.part(swept, folder)]
    if found:
        name = f"study_{safe_name(swept.name)}_importances.png"
        figures.draw_importances(found, folder / name)
        parts.append(f"![Importances of study {swept.name}]({name})")
    return parts


def _front_part(swept: Swept, front: Sequence[int], folder: Path) -> list[str]:
    """The Pareto front as a table and a picture."""
    settings = {
        number: {path: swept.value(number, path) for path in swept.paths}
        for number in {0, *front} & swept.trials.keys()
    }
    rows = pareto.rows(front, {number: swept.scores(number) for number in front}, settings)
    name = f"study_{safe_name(swept.name)}_front.png"
    figures.draw_front(swept, folder / name)
    return [
        (
            "The Pareto front: trials not dominated by another trial; of trials with equal scores only"
            " the first."
        ),
        tables.markdown(
            [
                "trial",
                *(f"{metric} ({way}d)" for metric, way in swept.objectives.items()),
                "changed settings",
            ],
            rows,
        ),
        f"![Pareto front of study {swept.name}]({name})",
    ]


def _cost_part(runs: Sequence[Run]) -> list[str]:
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
        rows.append(
            [
                name,
                str(len(costs)),
                *typical,
                memory,
                f"{sum(cost['cost/wall_seconds'] for cost in costs) / 60:.4g}",
            ]
        )
    if not rows:
        return ["No finished trainings yet."]
    head = [
        "runs",
        "trainings",
        "median seconds",
        "median CPU seconds",
        "largest memory, MB",
        "total minutes",
    ]
    return [
        "All recorded trainings, including those with different code, data and settings.",
        tables.markdown(head, rows),
    ]


# ---------------------------------------------------------------- parts of text


def _importances(swept: Swept) -> tuple[dict[str, float], str]:
    """Importance of each swept setting, or nothing and the reason."""
    from audiomtl.harness.search.importances import importances

    try:
        file = config.load_study(swept.name)
    except UserError:
        return {}, f"studies/{swept.name}.toml no longer exists or is not valid"
    if file.identity != swept.key:
        return {}, f"studies/{swept.name}.toml or its experiment has changed and defines a different study"
    return importances(file), "at least 4 complete trials with two different scores are needed"


def _versus_file(file: ExperimentFile, best: BestSet) -> str:
    own = config.scored_settings(file.raw)
    absent = object()
    paths = [
        path
        for path in sorted({*own, *best.settings})
        if own.get(path, absent) != best.settings.get(path, absent)
    ]
    if not paths:
        return f"as in {file.path.parent.name}/{file.path.name}"
    return "different from the file: " + ", ".join(
        f"{path} = {shown(best.settings.get(path))} (file: {shown(own.get(path))})" for path in paths
    )


def _missing(file: ExperimentFile, best: BestSet) -> str:
    left = [seed for seed in file.settings.seeds if seed not in best.runs]
    return f"; missing: {tables.joined(left)}" if left else ""


def _commits(runs: Iterable[Run]) -> str:
    found: dict[str, None] = {}
    for run in runs:
        name = run.data.tags.get("commit", "none")
        changed = " with uncommitted changes" if run.data.tags.get("dirty") == "true" else ""
        found[f"commit {name[:12]}{changed}" if name != "none" else "no commit"] = None
    return tables.joined(found)


def _machines(runs: Iterable[Run]) -> str:
    return tables.joined(sorted({run.data.tags.get("machine", "unknown") for run in runs}))
