"""Scores of best runs in the terminal: first for new groups, then over folds and seeds.

Contents: `show`.
"""

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from audiomtl.config import ExperimentFile
from audiomtl.harness import replicates
from audiomtl.harness.floors import Floor
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import group_intervals
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console


def show(
    file: ExperimentFile,
    runs: Mapping[int, Run],
    scores: Mapping[str, Sequence[float]],
    floors: Mapping[str, Floor],
) -> None:
    """Print the scores of the best runs.

    Parameters
    ----------
    runs : by seed, one for each of the experiment's seeds. scores : name -> one value per run.
    floors : of scores that have one.
    """
    tables = group_intervals.predictions(Tracking(), list(runs.values()))
    folds = replicates.of_predictions(file.settings, list(runs), tables)
    if headline := group_intervals.headline(file, tables, list((folds or {}).values())):
        shown = Table("test score", "all folds", "95 % interval for new groups")
        for name, one in headline.scores.items():
            limits = f"{one.low:.4f} to {one.high:.4f}" if math.isfinite(one.low) else "none"
            shown.add_row(name, f"{one.value:.4f}", limits)
        show_table(shown, console())
        console().print(headline.text, highlight=False)
        console().print("These are over all test clips together; the following are means.", highlight=False)
    show_table(_by_seed(scores, list(runs), folds, floors), console())
    console().print(replicates.told(folds), highlight=False)


def _by_seed(
    scores: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    folds: Mapping[int, int] | None,
    floors: Mapping[str, Floor],
) -> Table:
    count = len(set(folds.values())) if folds else 0
    over = "seeds" if count == 1 else f"{count} folds" if count else "folds"
    several = count > 1 and len(seeds) > count
    table = Table()
    table.add_column("score")
    further = ["floor", *["SD over folds", "SD over seeds"][: 2 * several]]
    for column in ["mean", f"95 % interval over {over}", *further, *[f"seed {seed}" for seed in seeds]]:
        table.add_column(column)
    for name, values in sorted(scores.items()):
        found = replicates.replicated(name, dict(zip(seeds, values, strict=True)), folds)
        low = found.low if found else math.nan
        middle = found.mean if found else sum(values) / len(values)
        interval = f"{low:.4f} to {found.high:.4f}" if found and math.isfinite(low) else "none"
        spreads = [found.between_folds, found.within_folds] if found else [math.nan, math.nan]
        cells = [f"{value:.4f}" for value in spreads] if several else []
        floor = f"{floors[name].value:.4f} {floors[name].by}" if name in floors else ""
        table.add_row(name, f"{middle:.4f}", interval, floor, *cells, *[f"{value:.4f}" for value in values])
    return table
