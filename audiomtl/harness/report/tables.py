"""From MLflow to Markdown with figures: results, ablations, sweeps, costs; the README's table.

What is reported is what ran: settings come from the runs' parameters, and no table mixes code, data or settings. The runs of one such
set are taken together, and one set is chosen (`choose`): of the sets that cover the most of the experiment's seeds one whose settings are
those of the file, and of these the newest. In it, the newest complete run of a seed counts. An ablation is what ran under the same code
and data with the settings of the set and the arm's changes, whatever its run was called (an arm that another arm or an earlier best run
had trained is not trained again).

The same runs give the same bytes: no times, run ids or absolute paths. Scores have 4 decimals, other numbers 4 digits.

Contents: `write`.
"""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness import experiment
from audiomtl.harness.record.runs import SCORED, Arm, BestSet, Swept, arms, beside, choose, existing, outcome, shown, studies
from audiomtl.harness.record.store import Run, Tracking, runs_folder
from audiomtl.harness.report import figures, groups
from audiomtl.harness.search import pareto
from audiomtl.metrics import intervals
from audiomtl.settings.toml import write as write_file

UNREPORTED = "quickstart"  # the experiment that is not in the README
BEGIN, END = "<!-- results -->", "<!-- /results -->"
NOTE = (
    "Intervals are 95 % Student t intervals over the seeds; those of a difference are paired by seed. "
    "An asterisk marks a difference whose interval excludes 0."
)


# ---------------------------------------------------------------- report


def write(names: list[str], folder: Path | None, readme: Path | None) -> str:
    """Write ``report.md`` and its figures.

    Parameters
    ----------
    names : experiments, or paths that end in ``.toml``; none: every one in ``experiments/`` that has runs.
    folder : where to; ``None`` is ``runs/report``.
    readme : also put the results table between the markers of this file, once every experiment but the quickstart that has best runs or
        an ``[expected]`` has complete best runs and ablations of the settings in its file. Otherwise the file stays as it is, as other
        machines' results may stand in it.

    Returns
    -------
    What was written where, for people.

    Raises
    ------
    UserError : an unknown name, an experiment without runs, or markers that are not in ``readme``; nothing is written then.
    """
    files = [config.load_experiment(name) for name in names or config.names("experiments")]
    page = _page(readme) if readme else None
    tracking, place = existing(), os.path.relpath(runs_folder())
    recorded = {file.name: tracking.runs(file.name) if tracking else [] for file in files}
    for file in files if names else []:
        if not recorded[file.name]:
            raise UserError(f"no runs of {file.name} in {place}/: run make best-{file.name}")
    files = [file for file in files if recorded[file.name]]
    if not files or tracking is None:
        raise UserError(f"no runs of any experiment in {place}/: run make best-NAME, NAME being a file in experiments/")
    folder = folder or runs_folder() / "report"
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(["# Report", NOTE, *(_chapter(file, recorded[file.name], tracking, folder) for file in files)])
    path = folder / "report.md"
    write_file(path, text + "\n")
    said = [f"{os.path.relpath(path)}: tables and figures of {', '.join(file.name for file in files)}"]
    if readme and page:
        table, lacking = _results(tracking)
        if lacking:
            said.append(f"{os.path.relpath(readme)}: left as it is: {lacking}")
        else:
            write_file(readme, f"{page[0]}{BEGIN}\n{table}\n{END}{page[1]}")
            said.append(f"{os.path.relpath(readme)}: results table written")
    return "\n".join(said)


def _chapter(file: ExperimentFile, runs: Sequence[Run], tracking: Tracking, folder: Path) -> str:
    best = choose(file, runs)
    parts = [f"## {file.name}", file.settings.description]
    if best is None:
        parts.append(f"No complete best run on the seeds {_list(file.settings.seeds)} yet: run make best-{file.name}.")
    else:
        parts += _results_part(file, best, tracking, folder)
        if file.ablations:
            parts += ["### Ablations", *_ablations_part(file, best, runs)]
    for swept in studies(runs):
        parts += _sweep_part(swept, folder)
    return "\n\n".join([*parts, "### Cost", *_cost_part(runs)])


def _results_part(file: ExperimentFile, best: BestSet, tracking: Tracking, folder: Path) -> list[str]:
    found = tracking.client.get_experiment_by_name(file.name)
    looks = found.tags.get("test_looks", "0") if found else "0"
    seconds, parameters = best.values("cost/seconds").values(), best.values("parameters").values()
    rows = [
        [key, _number(mean), _interval(low, high), *[_number(values[seed]) if seed in values else "" for seed in best.runs]]
        for key, values in _scores(file, best).items()
        for mean, low, high in [_mean(values.values())]
    ]
    lines = [
        f"- Seeds: {_list(best.runs)}" + _missing(file, best),
        f"- Parameters: {_list(sorted({f'{int(value):,}' for value in parameters}))}",
        f"- Minutes per training: {median(seconds) / 60:.4g} (median)" if seconds else "- Minutes per training: not recorded",
        f"- Looks at the test side, over all runs of this experiment: {looks}",
        f"- Code {best.code}, {_commits(best.runs.values())}; data {best.data}; on {_machines(best.runs.values())}",
        f"- Settings: {_versus_file(file, best)}",
    ]
    if best.older:
        lines.append(f"- In no table: {best.older} more complete best runs, of other code, data or settings, or repeated")
    shown_scores = {key.rpartition("/")[2] for key in _scores(file, best)}
    notes = getattr(config.family("settings", file.raw["model"]), "NOTES", {})
    lines += [f"- {note}" for score, note in notes.items() if score in shown_scores]
    if over := groups.accuracy_over_groups(file, best, tracking):
        lines.append(f"- {over}")
    parts = ["### Results", "\n".join(lines), _table(["score", "mean", "95 % interval", *[f"seed {seed}" for seed in best.runs]], rows)]
    name = f"{file.name}_learning_curves.png"
    keys = ["train/loss", "validation/loss", f"train/{experiment.main_score(file)}", f"validation/{experiment.main_score(file)}"]
    curves = {
        seed: {key: history for key in keys if (history := tracking.history(run.info.run_id, key))} for seed, run in best.runs.items()
    }
    if any(curves.values()):
        figures.draw_curves(curves, best.values("best_epoch"), folder / name)
        parts.append(f"![Learning curves of {file.name}]({name})")
    return parts


def _ablations_part(file: ExperimentFile, best: BestSet, runs: Sequence[Run]) -> list[str]:
    main = experiment.main_score(file)
    direction = experiment.family_scores(file)[main]
    sense = "below 0 is better" if direction == "minimize" else "above 0 is better"
    others = beside(file, best.runs)
    rows = [["best", _number(_mean(best.values(f"best/validation/{main}").values())[0]), "", "", str(len(best.runs)), ""]]
    rows[0] += [_number(value) for value in others.values()]
    for arm in arms(file, best, runs):
        rows.append(_arm_row(arm, best) + [_number(arm.beside[name]) if name in arm.beside else "" for name in others])
    head = ["ablation", f"validation/{main}", "difference to best", "95 % interval", "seeds", "changes", *others]
    text = f"Means over the seeds on validation, code {best.code}; of differences, {sense}."
    gone = sorted({name for run in runs if (name := run.data.tags.get("ablation", "")) and name not in file.ablations})
    return [text, _table(head, rows), *([f"In no table: runs of {_list(gone)}, which the file has no more."] if gone else [])]


def _arm_row(arm: Arm, best: BestSet) -> list[str]:
    changes = ", ".join(f"{path} = {shown(value)}" for path, value in sorted(arm.changes.items()))
    if arm.same:
        return [arm.name, "", "the best run itself has these settings", "", "", changes]
    lost = f"failed on {arm.failed} of {len(best.runs)}" if arm.failed else ""
    if not arm.pairs:
        return [arm.name, "", lost or "not run with the settings and code of the best runs", "", "0", changes]
    seeds = str(len(arm.pairs)) if len(arm.pairs) == len(best.runs) else f"{len(arm.pairs)} of {len(best.runs)}"
    difference, low, high = arm.difference
    starred = f"{_number(difference, '+.4f')}{' *' if low > 0 or high < 0 else ''}"
    return [arm.name, _number(arm.mean), starred, _interval(low, high, "+.4f"), f"{seeds}{f', {lost}' if lost else ''}", changes]


def _sweep_part(swept: Swept, folder: Path) -> list[str]:
    counts = Counter(outcome(run) for run in swept.trials.values())
    named = ["complete", "pruned", "failed", "answered"]
    counted = [f"{counts[name]} {name}" for name in [*named, *sorted(set(counts) - set(named))]]
    lines = [f"- Trials: {len(swept.trials)} ({', '.join(counted)})"]
    if swept.ablation:
        lines.append(f"- Sweeps the ablation {swept.ablation}")
    codes: dict[str, list[Run]] = {}
    for run in swept.trials.values():
        codes.setdefault(run.data.tags.get("code", "unknown"), []).append(run)
    lines += [f"- Code {code}, {_commits(runs)}: {len(runs)} trials" for code, runs in codes.items()]
    if swept.older:
        lines.append(f"- In no table: {swept.older} older studies of this name, with another search or other fixed settings")
    parts = [f"### Sweep: study {swept.name}", "\n".join(lines)]
    front = swept.front
    if not front:
        return [*parts, "No complete trial yet."]
    if len(swept.objectives) > 1:
        return [*parts, *_front_part(swept, front, folder)]
    best = front[0]
    [(metric, direction)] = swept.objectives.items()
    lines.insert(1, f"- Best: trial {best}, {metric} {swept.scores(best)[0]:.4f} ({direction}d)")
    parts[1] = "\n".join(lines)
    shares, why = _importances(swept)
    rows = []
    for path in sorted(swept.paths, key=lambda path: (-shares.get(path, -1.0), path)):
        cells = [swept.value(number, path) if number in swept.trials else "" for number in (0, best)]
        rows.append([path, *cells, f"{shares[path]:.3f}" if path in shares else ""])
    parts.append(_table(["setting", "trial 0: the experiment itself", f"trial {best}: the best", "importance"], rows))
    if shares:
        parts.append(
            "Importance is the share that a setting had in whether a trial came among the best quarter (PED-ANOVA), from the "
            f"{sum(outcome(run) in SCORED for run in swept.trials.values())} trials with a score. Pruned trials have none, so a setting "
            "whose bad values were pruned counts for less here than it matters."
        )
    else:
        parts.append(f"No importances: {why}.")
    name = f"study_{swept.name}_history.png"
    figures.draw_history(swept, folder / name)
    parts.append(f"![History of study {swept.name}]({name})")
    if shares:
        name = f"study_{swept.name}_importances.png"
        figures.draw_shares(shares, folder / name)
        parts.append(f"![Importances of study {swept.name}]({name})")
    return parts


def _front_part(swept: Swept, front: Sequence[int], folder: Path) -> list[str]:
    """The Pareto front as a table and a picture."""
    settings = {number: {path: swept.value(number, path) for path in swept.paths} for number in {0, *front} & swept.trials.keys()}
    rows = pareto.rows(front, {number: swept.scores(number) for number in front}, settings)
    name = f"study_{swept.name}_front.png"
    figures.draw_front(swept, folder / name)
    return [
        "The Pareto front: the trials that no other one beats in every score, of trials with equal scores the first.",
        _table(["trial", *(f"{metric} ({way}d)" for metric, way in swept.objectives.items()), "changed settings"], rows),
        f"![Pareto front of study {swept.name}]({name})",
    ]


def _cost_part(runs: Sequence[Run]) -> list[str]:
    groups: dict[str, list[Mapping[str, float]]] = {}
    for run in runs:
        kind, end = run.data.tags.get("kind", ""), outcome(run)
        if "cost/wall_seconds" in run.data.metrics and end != "answered":
            groups.setdefault(f"{kind}, {end}", []).append(run.data.metrics)
    rows = []
    for name, costs in sorted(groups.items()):
        each = {key: [cost[key] for cost in costs if key in cost] for key in ("cost/seconds", "cost/cpu_seconds", "cost/memory_megabytes")}
        typical = [f"{median(each[key]):.4g}" if each[key] else "" for key in ("cost/seconds", "cost/cpu_seconds")]
        memory = f"{max(each['cost/memory_megabytes']):.4g}" if each["cost/memory_megabytes"] else ""
        rows.append([name, str(len(costs)), *typical, memory, f"{sum(cost['cost/wall_seconds'] for cost in costs) / 60:.4g}"])
    if not rows:
        return ["No training has ended yet."]
    head = ["runs", "trainings", "median seconds", "median CPU seconds", "largest memory, MB", "minutes, all together"]
    return ["Every training that is recorded, also of other code, data and settings.", _table(head, rows)]


# ---------------------------------------------------------------- README


def _page(readme: Path) -> tuple[str, str]:
    """What stands before and after the markers."""
    if not readme.is_file():
        raise UserError(f"{readme}: no such file: the results table goes between {BEGIN} and {END} in it")
    text = readme.read_bytes().decode("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(f"{readme}: needs one line {BEGIN} and after it one line {END}: the results table goes between them")
    return text[: text.index(BEGIN)], text[text.index(END) + len(END) :]


def _results(tracking: Tracking) -> tuple[str, str]:
    """The README's tables; or nothing, and what is lacking."""
    rows, below, lacking = [], [], []
    for file in (config.load_experiment(name) for name in config.names("experiments") if name != UNREPORTED):
        runs = tracking.runs(file.name)
        best = choose(file, runs)
        if best is None and not file.expected:
            continue  # nobody has recorded it yet
        found = arms(file, best, runs) if best else []
        if best is None or len(best.runs) < len(file.settings.seeds):
            lacking.append(f"best runs of {file.name} on every seed (make best-{file.name})")
        elif best.settings != config.scored_settings(file.raw):
            lacking.append(f"best runs of {file.name} with the settings in {file.path} (make best-{file.name})")
        elif any(not arm.same and not arm.failed and len(arm.pairs) < len(best.runs) for arm in found):
            lacking.append(f"ablations of {file.name} (make ablations-{file.name})")
        else:
            rows += [_results_row(file, best)]
            if found:
                below += [f"Ablations of {file.name}, on validation:", *_short_ablations(file, best, found)]
    if lacking:
        return "", f"here are no {'; no '.join(lacking)}"
    head = ["experiment", "score", "test", "validation", "other scores on test", "seeds", "parameters", "seconds per training"]
    return "\n\n".join([_table(head, rows), NOTE, *below]), ""


def _results_row(file: ExperimentFile, best: BestSet) -> list[str]:
    main, scores, seconds = experiment.main_score(file), _scores(file, best), best.values("cost/seconds").values()
    others = [f"{key.removeprefix('test/')} {_spread(scores[key])}" for key in scores if key.startswith("test/") and key != f"test/{main}"]
    sides = [_spread(scores.get(f"{side}/{main}", {})) for side in ("test", "validation")]
    parameters = _list(sorted({f"{int(value):,}" for value in best.values("parameters").values()}))
    return [file.name, main, *sides, ", ".join(others), str(len(best.runs)), parameters, f"{median(seconds):.4g}" if seconds else ""]


def _short_ablations(file: ExperimentFile, best: BestSet, found: Sequence[Arm]) -> list[str]:
    main = experiment.main_score(file)
    others = beside(file, best.runs)
    rows = [["best", _number(_mean(best.values(f"best/validation/{main}").values())[0]), "", "", *map(_number, others.values())]]
    for arm in found:
        name, mean, difference, interval, _, changes = _arm_row(arm, best)
        rows.append([name, mean, f"{difference} {interval}".strip(), changes])
        rows[-1] += [_number(arm.beside[other]) if other in arm.beside else "" for other in others]
    return [_table(["ablation", main, "difference to best", "changes", *others], rows)]


# ---------------------------------------------------------------- parts of text


def _importances(swept: Swept) -> tuple[dict[str, float], str]:
    """Share of each swept setting, or nothing and why."""
    from audiomtl.harness.search.study import importances

    try:
        file = config.load_study(swept.name)
    except UserError:
        return {}, f"studies/{swept.name}.toml is not there any more, or not valid"
    if file.identity != swept.key:
        return {}, f"studies/{swept.name}.toml or its experiment changed, it is another study now"
    return importances(file), "they need 4 complete trials and two different scores among them"


def _scores(file: ExperimentFile, best: BestSet) -> dict[str, dict[int, float]]:
    """{"test/phone_error_rate": {seed: value}} of every reported score."""
    every = {
        f"{side}/{name}": "" if side == "test" else "best/" for side in ("test", "validation") for name in experiment.family_scores(file)
    }
    beside = experiment.rates_beside(list(best.runs.values()))
    found = {key: values for key, prefix in every.items() if (values := best.values(f"{prefix}{key}"))}
    return found | {key: dict(zip(best.runs, values, strict=True)) for key, values in beside.items()}


def _versus_file(file: ExperimentFile, best: BestSet) -> str:
    own = config.scored_settings(file.raw)
    absent = object()
    paths = [path for path in sorted({*own, *best.settings}) if own.get(path, absent) != best.settings.get(path, absent)]
    if not paths:
        return f"those of {file.path.parent.name}/{file.path.name}"
    return "not those of the file: " + ", ".join(
        f"{path} = {shown(best.settings.get(path))} (file: {shown(own.get(path))})" for path in paths
    )


def _missing(file: ExperimentFile, best: BestSet) -> str:
    left = [seed for seed in file.settings.seeds if seed not in best.runs]
    return f"; not yet: {_list(left)}" if left else ""


def _commits(runs: Iterable[Run]) -> str:
    found: dict[str, None] = {}
    for run in runs:
        name = run.data.tags.get("commit", "none")
        changed = " with uncommitted changes" if run.data.tags.get("dirty") == "true" else ""
        found[f"commit {name[:12]}{changed}" if name != "none" else "no commit"] = None
    return _list(found)


def _machines(runs: Iterable[Run]) -> str:
    return _list(sorted({run.data.tags.get("machine", "unknown") for run in runs}))


def _mean(values: Iterable[float]) -> tuple[float, float, float]:
    """Mean and interval; NaN where a value is none."""
    found = list(values)
    return intervals.t_interval(found) if found and all(map(math.isfinite, found)) else (math.nan,) * 3


def _spread(values: Mapping[int, float]) -> str:
    mean, low, high = _mean(values.values())
    return f"{_number(mean)} {_interval(low, high)}".strip()


def _interval(low: float, high: float, form: str = ".4f") -> str:
    return f"[{low:{form}}, {high:{form}}]" if math.isfinite(low) else ""


def _number(value: float, form: str = ".4f") -> str:
    return f"{value:{form}}" if math.isfinite(value) else "none"


def _list(items: Iterable[Any]) -> str:
    return ", ".join(map(str, items))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
