"""The main test score of every experiment with its interval as until version 0.2, over folds, and for new
groups. Prints a Markdown table.

    python benchmarks/old_and_new_intervals.py

The first two come from ``[expected]``; the last from the predictions of the best runs in AUDIOMTL_RUNS, where
there are some.
"""

from audiomtl import config
from audiomtl.harness import experiment, replicates
from audiomtl.harness.record import runs
from audiomtl.harness.report import group_intervals, tables
from audiomtl.harness.report.blocks import Table
from audiomtl.metrics import intervals


def row(file: config.ExperimentFile) -> list[str]:
    main = experiment.main_score(file)
    score = file.expected.get(f"test/{main}")
    cells = ["to be recorded", ""]
    if score:
        recorded = file.expected["recorded"]
        folds = replicates.of_expected(file.settings, recorded)
        values = dict(zip(recorded["seeds"], score["per_seed"], strict=True))
        count = len(set((folds or {}).values()))
        mean, *limits = intervals.t_interval(score["per_seed"])
        of_folds = tables.over_folds(main, values, folds)[1] if count > 1 else "one fold"
        cells = [f"{mean:.4f} {tables.interval(*limits)}", f"{of_folds} ({count} of {len(values)})"]
    return [file.name, main, *cells, *_new_groups(file, main)]


def _new_groups(file: config.ExperimentFile, main: str) -> list[str]:
    tracking = runs.existing()
    best = runs.choose(file, tracking.runs(file.name)) if tracking else None
    if best is None or tracking is None or len(best.runs) < len(file.settings.seeds):
        return ["no runs here", ""]
    predicted = group_intervals.predictions(tracking, list(best.runs.values()))
    folds = replicates.of_predictions(file.settings, list(best.runs), predicted)
    headline = group_intervals.headline(file, predicted, list((folds or {}).values()))
    if headline is None or main not in headline.scores:
        return ["not from predictions", ""]
    one = headline.scores[main]
    sizes = ", ".join(f"{count} of {name}" for name, count in one.groups.items())
    return [
        f"{one.value:.4f} {tables.interval(one.low, one.high) or one.reason}",
        f"{one.clips} clips, {sizes}",
    ]


if __name__ == "__main__":
    head = [
        "experiment",
        "test score",
        "before: over seeds",
        "over folds (folds of seeds)",
        "new groups",
        "from",
    ]
    print(Table(head, [row(file) for file in config.load_experiments([])]))
