"""A label curve: the validation score against the fraction of the training clips, with ablations such as one
without pretraining.

Contents: `curve`, `SHARES`.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from audiomtl import pictures
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.errors import UserError
from audiomtl.harness import replicates
from audiomtl.harness.ablations import check_validation
from audiomtl.harness.experiment import main_score, train_runs
from audiomtl.harness.record.store import runs_folder
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console
from audiomtl.names import csv_text, safe_name

SHARES = (0.1, 0.25, 0.5, 1.0)  # fractions that are drawn unless others are given


def curve(
    file: ExperimentFile,
    fractions: Sequence[float],
    arms: Sequence[str],
    *,
    again: bool,
    slots: int,
    threads: int,
) -> bool:
    """Train the experiment and some of its ablations on fractions of the training clips, with every seed;
    print, write and plot the scores.

    Parameters
    ----------
    fractions : in (0, 1].
    arms : ablations to plot as well; none takes those with ``curve = true``.

    Returns
    -------
    Whether every training completed.

    Raises
    ------
    UserError : the family has no ``train_share``, a fraction is out of range, an ablation is not in the file.
    """
    if "train_share" not in file.raw:
        raise UserError(
            f'{file.path}: model = "{file.raw["model"]}" has no setting train_share, which a curve needs'
        )
    check_validation(file)
    if wrong := [value for value in fractions if not 0 < value <= 1]:
        raise UserError(f"--fractions {wrong[0]:g}: must be above 0 and at most 1")
    if unknown := [arm for arm in arms if arm not in file.ablations]:
        raise UserError(
            f"--beside {unknown[0]}: no such ablation; {file.path} has"
            f" {', '.join(sorted(file.ablations)) or 'none'}"
        )
    beside = list(arms) or list(file.curve)
    names = {
        (arm, share): f"{arm or 'best'} {share:g}" if (arm or share < 1) else ""
        for arm in ["", *beside]
        for share in sorted(set(fractions))
    }
    changes = {
        name: {**file.ablations.get(arm, {}), "train_share": share}
        for (arm, share), name in names.items()
        if name
    }
    shares = dataclasses.replace(file, ablations=changes)
    runs = train_runs(shares, list(names.values()), again=again, slots=slots, threads=threads)
    score, rows = f"best/validation/{main_score(file)}", []
    settings: Any = file.settings
    folds = replicates.of_clips(settings, settings.seeds, catalog.clips(settings.data))
    for (arm, share), name in names.items():
        trained = [seed for seed in file.settings.seeds if (name, seed) in runs]
        values = {seed: runs[name, seed].data.metrics[score] for seed in trained}
        clips = [
            runs[name, seed].data.metrics.get("data/train/clips")
            for seed in file.settings.seeds
            if (name, seed) in runs
        ]
        found = replicates.replicated(main_score(file), values, folds)
        middle, low, high = (found.mean, found.low, found.high) if found else (math.nan,) * 3
        rows.append((arm or file.name, share, clips[0] if clips else None, middle, low, high, len(values)))
    columns = ["trained", "train_share", "train_clips", main_score(file), "low", "high", "seeds"]
    table = pd.DataFrame(rows, columns=columns)
    folder = runs_folder() / "report"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"curve_{safe_name(file.name)}"
    named = table.assign(trained=table["trained"].map(csv_text))
    named.to_csv(folder / f"{name}.csv", index=False)
    _draw(table, folder / f"{name}.png", main_score(file))
    shown = Table(
        "trained",
        "train_share",
        "clips",
        f"validation/{main_score(file)}",
        f"95 % interval over {'folds' if len({*folds.values()}) > 1 else 'seeds'}",
        "seeds",
    )
    for one in table.itertuples(index=False):
        clips_text = "" if one[2] is None or one[2] != one[2] else f"{one[2]:g}"
        shown.add_row(
            str(one[0]),
            f"{one[1]:g}",
            clips_text,
            f"{one[3]:.4f}",
            f"{one[4]:.4f} to {one[5]:.4f}",
            str(one[6]),
        )
    show_table(shown)
    console().print(f"{folder / f'{name}.csv'} and .png written")
    return bool((table["seeds"] == len(file.settings.seeds)).all())


def _draw(table: pd.DataFrame, path: Path, score: str) -> None:
    with pictures.figure(path, width=6.0, height=4.0) as axes:
        for index, (name, rows) in enumerate(table.groupby("trained", sort=False)):
            below, above = rows[score] - rows["low"], rows["high"] - rows[score]
            axes.errorbar(
                rows["train_share"],
                rows[score],
                [below, above],
                fmt="o-",
                capsize=3,
                color=f"C{index}",
                label=str(name),
            )
        axes.set(xlabel="fraction of the training clips", ylabel=f"validation {score.replace('_', ' ')}")
        axes.legend(frameon=False, fontsize="small", loc="lower right")
