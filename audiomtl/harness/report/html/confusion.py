"""Confusions of the test clips, counted over all best runs. Contents: `figures`, `counts`."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from audiomtl.harness.report.blocks import Figure
from audiomtl.harness.report.html import matrix
from audiomtl.metrics import labels, sequences

MOST = 12  # classes of a matrix with numbers
NOTHING = "–"  # what a deletion was heard as, and an insertion is heard for


def figures(predictions: Sequence[pd.DataFrame]) -> list[Figure]:
    """A matrix for each pair of columns ``truth`` and ``predicted``, or ``HEAD_truth`` and
    ``HEAD_predicted``.

    Parameters
    ----------
    predictions : tables of the best runs; [] where they were not kept.
    """
    if not predictions:
        return []
    table = pd.concat(predictions, ignore_index=True)
    found = []
    for truth in [name for name in table if name == "truth" or str(name).endswith("_truth")]:
        head = str(truth).removesuffix("truth")
        predicted = f"{head}predicted"
        if predicted not in table:
            continue
        rows = table[[truth, predicted]].dropna()
        title = " ".join(["Confusions", *([f"of {head[:-1]}"] if head else []), "on the test clips"])
        if confused := counts(rows[truth], rows[predicted]):
            found.append(_figure(title, confused))
    return found


def counts(truth: pd.Series, predicted: pd.Series) -> dict[tuple[str, str], int]:
    """How often each class, or phone of aligned sequences, was taken for each other; {} of anything else."""
    if not len(truth):
        return {}
    if all(isinstance(value, str) for value in truth) and all(isinstance(value, str) for value in predicted):
        return labels.confusion(list(truth), list(predicted))
    if all(isinstance(value, np.ndarray) for column in (truth, predicted) for value in column):
        both = [[list(map(str, value)) for value in column] for column in (truth, predicted)]
        found = sequences.alignment_confusion(*both)
        return {(true or NOTHING, guess or NOTHING): count for (true, guess), count in found.items()}
    return {}


def _figure(title: str, counts: dict[tuple[str, str], int]) -> Figure:
    known = sorted({name for pair in counts for name in pair} - {NOTHING})
    wrong = Counter[str]()
    for (true, guess), count in counts.items():
        if true != guess:
            wrong.update({true: count, guess: count})
    chosen = known
    note = "Rows are true classes, columns predicted ones; the colour is the share of a row."
    if len(known) > MOST:
        chosen = sorted(sorted(known, key=lambda name: (-wrong[name], name))[:MOST])
        note = f"The {MOST} of {len(known)} symbols that are confused most. {note}"
    if any(NOTHING in pair for pair in counts):
        chosen = [*chosen, NOTHING]
        note += f" Column {NOTHING}: deletions; row {NOTHING}: insertions."
    table = np.array([[counts.get((true, guess), 0) for guess in chosen] for true in chosen], float)
    every = [max(1, sum(count for (true, _), count in counts.items() if true == name)) for name in chosen]
    drawn = matrix.drawing(
        table,
        chosen,
        chosen,
        row_name="true",
        column_name="predicted",
        limits=(0.0, 1.0),
        form=".0f",
        shades=table / np.array(every)[:, None],
    )
    worst = [
        f"{true} as {guess} {count} times"
        for (true, guess), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if true != guess
    ]
    if worst:
        note += f" Most frequent: {', '.join(worst[:3])}."
    return Figure(title, drawings=[drawn], note=note, wide=len(chosen) > 8)
