"""The ``evaluate`` command: scores of a trained model on other labelled clips, with intervals.

Contents: `Evaluated`, `evaluate`, `written`, `clips_of`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl import config
from audiomtl.data import catalog, odd
from audiomtl.errors import UserError
from audiomtl.harness.use.inputs import MEANINGLESS, SUSPECT, TABLES, clips_of_table, columns_of
from audiomtl.harness.use.models import Loaded, checked_place, opened
from audiomtl.metrics import intervals

MOST_GROUPS = 50  # every group costs one more scoring of all clips: more are put together
NAMED = 5  # clips that are named
COLUMNS = ("score", "value", "low", "high")


@dataclass(frozen=True)
class Evaluated:
    """Scores of one model on one table of clips."""

    scores: pd.DataFrame  # `COLUMNS`, a row per score; the limits are of a 95 % interval, NaN without one
    tables: dict[str, pd.DataFrame]  # predictions, as `Family.predict` gives them, with the table's columns
    clips: int
    groups: str  # over what the intervals are: "5 values of speaker", "12 clips"; why there are none
    left_out: tuple[str, ...]  # clips with labels that the model does not know
    remarks: tuple[str, ...]


def evaluate(loaded: Loaded, data: str) -> Evaluated:
    """Score a trained model on labelled clips.

    Parameters
    ----------
    data : a table of clips (CSV or Parquet), with the columns that the model's experiment names; or an
        experiment, whose clips are all taken.

    Raises
    ------
    UserError : no such table or experiment; a column that is not there; no clip whose labels the model knows.
    """
    table = clips_of(loaded, data)
    examples = loaded.use.examples(loaded.fitted, table)
    if not examples:
        raise UserError(f"{data}: no clip that the model can be scored on")
    kept = {one.clip_id for one in examples}
    left_out = tuple(clip for clip in table["clip_id"] if clip not in kept)
    found = loaded.model.outputs(loaded.fitted, examples)
    whole = loaded.model.evaluate(loaded.fitted, found)
    blocks, told = _blocks(table[table["clip_id"].isin(kept)], loaded.settings.data.groups)
    limits = _limits(loaded, found, whole, blocks) if blocks else {}
    rows = [(name, value, *limits.get(name, (math.nan, math.nan))) for name, value in whole.items()]
    made = loaded.model.predict(loaded.fitted, found)
    tables = made if isinstance(made, dict) else {"predictions": made}
    return Evaluated(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        {name: _with_columns(one, table) for name, one in tables.items()},
        len(examples),
        told,
        left_out,
        (*_remarks(loaded, table), *_odd(loaded, table[table["clip_id"].isin(kept)])),
    )


def written(name: str, data: str, *, seed: int | None, to: str, force: bool) -> str:
    """What the command prints; predictions are also written to ``to`` unless that is "".

    Raises
    ------
    UserError : what `evaluate` and `opened` refuse; a file that already exists, without ``force``.
    """
    place = checked_place(Path(to), (".csv", ".parquet"), force) if to else None
    loaded = opened(name, seed)
    found = evaluate(loaded, data)
    lines = [f"{loaded.told} on {found.clips} clips of {data}; {found.groups}", *found.remarks]
    if found.left_out:
        more = f" and {len(found.left_out) - NAMED} more" if len(found.left_out) > NAMED else ""
        clips = ", ".join(found.left_out[:NAMED])
        count = f"{len(found.left_out)} clip{'' if len(found.left_out) == 1 else 's'}"
        lines.append(f"left out: {count} whose labels the model does not know: {clips}{more}")
    width = max(map(len, found.scores["score"]))
    for score, value, low, high in found.scores.itertuples(index=False, name=None):
        limits = f"  [{low:.4f}, {high:.4f}]" if math.isfinite(low) else ""
        lines.append(f"{score:<{width}}  {value:.4f}{limits}")
    if place:
        table = found.tables["predictions"]
        table.to_csv(place, index=False) if place.suffix == ".csv" else table.to_parquet(place)
        lines.append(f"{place} written")
    return "\n".join(lines)


def clips_of(loaded: Loaded, data: str) -> pd.DataFrame:
    """The clip table of a table, of a folder (where the model learned from one), or of an experiment."""
    place, own = Path(data), loaded.settings.data
    if place.is_dir() and hasattr(own, "folder"):
        return catalog.clips(
            own.model_copy(update={"folder": str(place.absolute()), "on_bad": "skip", "subset": {}})
        )
    if place.suffix.lower() not in TABLES:
        settings: Any = config.load_experiment(data).settings
        return catalog.clips(settings.data)
    groups = [one for one in own.groups if one in columns_of(place)]
    return clips_of_table(place, loaded, labelled=True, groups=groups)


def _odd(loaded: Loaded, table: pd.DataFrame) -> tuple[str, ...]:
    """How many recordings are odd, as `predict` remarks on them, and the first ones."""
    if not loaded.sample_rate or "path" not in table.columns:
        return ()
    found = [
        (clip, finding.text)
        for clip, finding in odd.findings(table[table["path"].notna()])
        if finding.kind in MEANINGLESS + SUSPECT
    ]
    if not found:
        return ()
    clips = len({clip for clip, _ in found})
    first = "; ".join(f"{clip}: {text}" for clip, text in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return (f"{clips} of {len(table)} recordings {'is' if clips == 1 else 'are'} odd: {first}{more}",)


def _remarks(loaded: Loaded, table: pd.DataFrame) -> tuple[str, ...]:
    trained_on = loaded.run.data.tags.get("data", "") if loaded.run else ""
    if trained_on and catalog.fingerprint(table) == trained_on:
        return (
            "these are the clips of the model's own experiment, most of which it was trained on: the scores"
            f" of its test split are in `audiomtl report {loaded.name}`",
        )
    return ()


# ---------------------------------------------------------------- intervals


def _blocks(table: pd.DataFrame, groups: Sequence[str]) -> tuple[list[set[str]], str]:
    """Clip ids in blocks that are left out in turn, and what they are; no blocks where they are too few."""
    group = next((one for one in groups if one in table.columns), "")
    values = table[group].astype(str) if group else table["clip_id"]
    names = sorted(values.unique())
    what = f"{len(names)} values of {group}" if group else f"{len(names)} clips"
    if len(names) < intervals.FEWEST_GROUPS:
        return [], f"no intervals: {what} are too few, {intervals.FEWEST_GROUPS} are needed"
    number = {name: place % MOST_GROUPS for place, name in enumerate(names)}
    blocks: list[set[str]] = [set() for _ in range(min(len(names), MOST_GROUPS))]
    for clip, value in zip(table["clip_id"], values, strict=True):
        blocks[number[value]].add(clip)
    return blocks, f"95 % intervals over {what}"


def _limits(
    loaded: Loaded, found: Sequence[Any], whole: dict[str, float], blocks: Sequence[set[str]]
) -> dict[str, tuple[float, float]]:
    """Low and high of each score whose value without any block is known."""
    without: dict[str, list[float]] = {name: [] for name in whole}
    for block in blocks:
        scores = loaded.model.evaluate(loaded.fitted, [one for one in found if one[0].clip_id not in block])
        for name in whole:
            without[name].append(scores.get(name, math.nan))
    limits = {}
    for name, values in without.items():
        if np.isfinite([whole[name], *values]).all():
            scale = intervals.scale_of(name)
            _, low, high = intervals.jackknife_interval(whole[name], values, scale=scale)
            if low < high:  # where no group differs, groups say nothing of the spread
                limits[name] = low, high
    return limits


def _with_columns(made: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A table of predictions with the plain columns of the clip table."""
    plain = [
        name
        for name in table.columns
        if name != "clip_id"
        and name not in made.columns
        and (isinstance(table[name].iloc[0], str) or np.ndim(table[name].iloc[0]) == 0)
    ]
    return made.merge(table[["clip_id", *plain]], on="clip_id", how="left", validate="many_to_one")
