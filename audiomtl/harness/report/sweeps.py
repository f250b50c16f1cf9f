"""The section of a report on one study. Contents: `blocks`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.record.runs import SCORED, Swept, outcome
from audiomtl.harness.record.store import Run
from audiomtl.harness.report import figures, heat_map, tables
from audiomtl.harness.report.blocks import Block, Figure, Items, Table, Text
from audiomtl.harness.report.html import trials
from audiomtl.harness.search import pareto
from audiomtl.names import safe_name

FEW = 20  # trials with a score, below which importances change from sample to sample


def blocks(swept: Swept, folder: Path) -> list[Block]:
    """Outcomes, best trial, importances and figures; the PNG figures are drawn into ``folder``."""
    lines, front = _facts(swept), swept.front
    if not front:
        return [Items(lines), Text("No complete trials yet.")]
    if len(swept.objectives) > 1:
        return [Items(lines), *_front(swept, front, folder)]
    best = front[0]
    [(metric, direction)] = swept.objectives.items()
    lines.insert(1, f"Best: trial {best}, {metric} {swept.scores(best)[0]:.4f} ({direction}d)")
    found, why = _importances(swept)
    ordered = sorted(swept.paths, key=lambda path: (-found.get(path, -1.0), path))
    rows = []
    for path in ordered:
        cells = [swept.value(number, path) if number in swept.trials else "" for number in (0, best)]
        rows.append([path, *cells, f"{found[path]:.3f}" if path in found else ""])
    head = ["setting", "trial 0 (experiment)", f"trial {best} (best)", "importance"]
    parts: list[Block] = [Items(lines), Table(head, rows)]
    if found:
        scored = sum(outcome(run) in SCORED for run in swept.trials.values())
        parts.append(
            Text(
                "Importance is the relative influence of a setting on whether a trial is among the best"
                f" quarter (PED-ANOVA), over the {scored} trials with a score. Pruned trials have no score,"
                " so the importance of a setting whose bad values were pruned is underestimated."
                + (" Over so few trials it is a hint at most." if scored < FEW else "")
            )
        )
    else:
        parts.append(Text(f"No importances: {why}."))
    name = f"study_{safe_name(swept.name)}_history.png"
    figures.draw_history(swept, folder / name)
    title = f"History of study {swept.name}"
    parts.append(Figure(title, name, [trials.history(swept)], trials.HISTORY_NOTE))
    parts += heat_map.part(swept, folder)
    if found:
        name = f"study_{safe_name(swept.name)}_importances.png"
        figures.draw_importances(found, folder / name)
        parts.append(Figure(f"Importances of study {swept.name}", name, [trials.importances(found)]))
    return [*parts, *trials.parallel_and_slices(swept, ordered)]


def _facts(swept: Swept) -> list[str]:
    counts = Counter(outcome(run) for run in swept.trials.values())
    named = ["complete", "pruned", "failed", "answered"]
    counted = [
        f"{counts[name]} {'copied' if name == 'answered' else name}"
        for name in [*named, *sorted(set(counts) - set(named))]
    ]
    lines = [f"Trials: {len(swept.trials)} ({', '.join(counted)})"]
    if swept.ablation:
        lines.append(f"Sweeps the ablation {swept.ablation}")
    codes: dict[str, list[Run]] = {}
    for run in swept.trials.values():
        codes.setdefault(run.data.tags.get("code", "unknown"), []).append(run)
    lines += [f"Code {code}, {tables.commits(runs)}: {len(runs)} trials" for code, runs in codes.items()]
    if len(codes) > 1:
        lines.append(
            "Trials of one commit have several codes where a swept setting, such as the scaling, has code of"
            " its own"
        )
    if swept.older:
        lines.append(
            f"Not shown: {swept.older} older studies of this name, with a different search space or fixed"
            " settings"
        )
    return lines


def _front(swept: Swept, front: Sequence[int], folder: Path) -> list[Block]:
    """The Pareto front as a table and a figure."""
    settings = {
        number: {path: swept.value(number, path) for path in swept.paths}
        for number in {0, *front} & swept.trials.keys()
    }
    rows = pareto.rows(front, {number: swept.scores(number) for number in front}, settings)
    name = f"study_{safe_name(swept.name)}_front.png"
    figures.draw_front(swept, folder / name)
    told = (
        "The Pareto front: trials not dominated by another trial; of trials with equal scores only the first."
    )
    objectives = (f"{metric} ({way}d)" for metric, way in swept.objectives.items())
    drawings = [trials.front(swept, front)]
    return [
        Text(told),
        Table(["trial", *objectives, "changed settings"], rows),
        Figure(f"Pareto front of study {swept.name}", name, drawings, trials.FRONT_NOTE),
    ]


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
