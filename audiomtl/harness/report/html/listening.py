"""A page to listen to: test clips with their sound, spectrogram, truth and prediction.

It reads what the best runs keep: the table ``predictions``, and tables of windows, steps and events, told
apart by their columns. Truth over time comes from the clip table, where the data are on this machine.

Contents: `write`, `clip_table`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.errors import MissingData, UserError
from audiomtl.harness.record.runs import BestSet
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.report import group_intervals
from audiomtl.harness.report.html import page, sound, timeline
from audiomtl.harness.report.html.clips import Chosen, chosen, head_of
from audiomtl.harness.report.html.said import said

NAME = "listening.html"
LONGEST = 10.0  # seconds of a clip
MOST_BYTES = 7 * 2**20  # of a page's sounds, as they stand in it
LINES = 3  # classes that are drawn over time
TIMED = {"phones": ("starts", "ends"), "words": ("word_starts", "word_ends")}


@dataclass(frozen=True)
class Card:
    """One clip of the page."""

    clip_id: str
    why: str
    facts: Sequence[str]
    said: Sequence[tuple[str, str]]  # aligned phones, true and predicted
    audio: str  # data URI; "" without
    drawing: str  # SVG; "" without
    remark: str  # why there is no sound, or not all of it


@dataclass
class Room:
    """How many bytes of sound still fit."""

    left: int = MOST_BYTES
    clips: int = field(default=0)


def write(path: Path, experiments: Sequence[tuple[ExperimentFile, BestSet]], tracking: Tracking) -> str:
    """Write the page.

    Returns
    -------
    What was written, for people; "" if no best run has kept predictions: there is no page then.
    """
    room, chapters = Room(), []
    for number, (file, best) in enumerate(experiments):
        budget = room.left // (len(experiments) - number)
        if cards := _cards(file, best, tracking, room, budget):
            chapters.append({"name": file.name, "description": file.settings.description, "cards": cards})
    path.unlink(missing_ok=True)
    if not chapters:
        return ""
    page.render("listening.html", path, chapters=chapters)
    return f"sound of {room.clips} clips"


def _cards(file: ExperimentFile, best: BestSet, tracking: Tracking, room: Room, budget: int) -> list[Card]:
    seeds = list(best.runs)
    predicted = group_intervals.predictions(tracking, list(best.runs.values()))
    if not predicted:
        return []
    tables = dict(zip(seeds, predicted, strict=True))
    clips = clip_table(file)
    found, over_time, end = [], dict[int, list[pd.DataFrame]](), room.left - budget
    for one in chosen(file, tables):
        if one.seed not in over_time:
            over_time[one.seed] = _timed_tables(tracking, best.runs[one.seed].info.run_id)
        head = head_of(file, tables[one.seed])
        found.append(_card(one, head, over_time[one.seed], clips.get(one.clip_id, {}), room, end))
    return found


def clip_table(file: ExperimentFile) -> dict[str, Mapping[str, Any]]:
    """Rows of the clip table by clip_id; {} where the data are not on this machine."""
    settings: Any = file.settings
    try:
        table = catalog.clips(settings.data)
    except (MissingData, UserError):
        return {}
    records: list[dict[Any, Any]] = table.to_dict("records")
    return {str(row["clip_id"]): row for row in records}


def _timed_tables(tracking: Tracking, run_id: str) -> list[pd.DataFrame]:
    """Tables of a run whose rows have a start and an end, on test."""
    names = [one.path for one in tracking.client.list_artifacts(run_id) if one.path.endswith("_test.parquet")]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(names):
            if name != group_intervals.TABLE:
                table = pd.read_parquet(tracking.client.download_artifacts(run_id, name, folder))
                if {"clip_id", "start_seconds", "end_seconds"} <= set(table):
                    found.append(table)
    return found


def _card(
    one: Chosen, head: str, tables: Sequence[pd.DataFrame], clip: Mapping[str, Any], room: Room, end: int
) -> Card:
    facts = [f"seed {one.seed}{f'; {one.value}' if one.value else ''}", *_classes(one.row, head)]
    if isinstance(text := one.row.get("text"), str) and text:
        facts.append(f"text: {text}")
    path = clip.get("path") or one.row.get("path")
    address, picture, remark, heard = "", "", "", None
    if not isinstance(path, str) or not path:
        remark = "No sound: this clip has no recording."
    else:
        try:
            heard = sound.heard(path, LONGEST)
        except UserError as error:
            remark = f"No sound here: {str(error).replace(path, Path(path).name)}"
    if heard:
        address, picture = heard.address, sound.spectrogram(heard)
        if heard.seconds > heard.length + 0.05:
            remark = f"The first {heard.length:.0f} of {heard.seconds:.1f} s."
        if room.left - len(address) - len(picture) < end:
            address, remark = "", "No sound here: the page is full. Report fewer experiments at once."
        room.left -= len(address) + len(picture)
        room.clips += bool(address)
    seconds = heard.length if heard else float(clip.get("seconds") or one.row.get("seconds") or 0.0)
    lanes = [*_true(clip, one.row, head), *_predicted(one, head, tables)]
    drawing = ""
    if seconds > 0 and (picture or lanes):
        rate = heard.rate if heard else 0
        drawing = timeline.drawing(picture, rate, seconds, lanes, sound.place_of)
    return Card(one.clip_id, one.why, facts, said(one.row), address, drawing, remark)


def _classes(row: Mapping[str, Any], head: str) -> list[str]:
    """True and predicted class, and the probabilities of the likeliest ones."""
    truth, predicted = row.get(f"{head}truth"), row.get(f"{head}predicted")
    if _listed(truth) and "predicted_starts" not in row:  # tags
        return [f"{name}: {', '.join(map(str, row[f'{head}{name}']))}" for name in ("truth", "predicted")]
    if not isinstance(predicted, str):
        return []
    facts = [f"true: {truth if isinstance(truth, str) else 'unknown'}; predicted: {predicted}"]
    prefix = f"{head}probability_"
    probabilities = {name.removeprefix(prefix): row[name] for name in row if name.startswith(prefix)}
    ranked = sorted(probabilities, key=lambda name: (-float(probabilities[name]), name))[:4]
    if ranked:
        facts.append(
            "probabilities: " + ", ".join(f"{name} {float(probabilities[name]):.3f}" for name in ranked)
        )
    return facts


# ---------------------------------------------------------------- over time


def _true(clip: Mapping[str, Any], row: Mapping[str, Any], head: str) -> list[timeline.Spans]:
    """What the clip table says over time."""
    found = list[timeline.Spans]()
    for name, (starts, ends) in TIMED.items():
        if name == "words" and found:
            continue
        if all(_listed(clip.get(column)) for column in (name, starts, ends)):
            columns = (clip[column] for column in (starts, ends, name))
            spans = [
                (float(start), float(end), str(label)) for start, end, label in zip(*columns, strict=False)
            ]
            found.append(timeline.Spans("true", spans, True))
    for name in ("notes", "events"):
        if _listed(clip.get(name)):
            spans = [
                (float(one[0]), float(one[1]), f"{one[2]:g}" if name == "notes" else str(one[2]))
                for one in clip[name]
            ]
            found.append(timeline.Spans("true", spans, True))
    if _listed(clip.get("passages")) and not found:
        label = row.get(f"{head}truth")
        label = label if isinstance(label, str) else "true"
        found.append(
            timeline.Spans("true", [(float(one[0]), float(one[1]), label) for one in clip["passages"]], True)
        )
    return found


def _listed(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray) and len(value) > 0


def _predicted(
    one: Chosen, head: str, tables: Sequence[pd.DataFrame]
) -> list[timeline.Spans | timeline.Lines]:
    lanes: list[timeline.Spans | timeline.Lines] = []
    row = one.row
    if _listed(row.get("predicted_starts")) and _listed(row.get("predicted")):
        starts = [float(value) for value in row["predicted_starts"]]
        ends = [*starts[1:], float(row.get("seconds") or starts[-1] + 0.1)]
        lanes.append(
            timeline.Spans("said", list(zip(starts, ends, map(str, row["predicted"]), strict=True)), False)
        )
    for table in tables:
        own = table[table["clip_id"].astype(str) == one.clip_id].sort_values("start_seconds", kind="stable")
        if own.empty:
            continue
        windows = list(zip(own["start_seconds"].astype(float), own["end_seconds"].astype(float), strict=True))
        if "label" in own:
            heads = own["head"] if "head" in own else pd.Series("", index=own.index)
            for name in sorted(set(heads)):
                some = own[heads == name]
                columns = (some[column] for column in ("start_seconds", "end_seconds", "label"))
                spans = [
                    (float(start), float(end), str(label)) for start, end, label in zip(*columns, strict=True)
                ]
                lanes.append(timeline.Spans("said", spans, False))
            continue
        lanes += _over_windows(own, windows, row, head)
    return lanes


def _over_windows(
    own: pd.DataFrame, windows: list[tuple[float, float]], row: Mapping[str, Any], head: str
) -> list[timeline.Lines]:
    """Lines of the true, the predicted and the likeliest other classes; bars of weights."""
    lanes = []
    numbers = [
        str(name)
        for name in own.select_dtypes("number")
        if name not in ("start_seconds", "end_seconds", "weight", "window", "patch", "step")
        and (name not in row or str(name).startswith("probability_"))
    ]
    prefix = "probability_" if any(name.startswith("probability_") for name in numbers) else ""
    values = {
        name.removeprefix(prefix): own[name].astype(float).clip(0, 1).tolist()
        for name in numbers
        if name.startswith(prefix)
    }
    first = [name for name in (row.get(f"{head}truth"), row.get(f"{head}predicted")) if isinstance(name, str)]
    ranked = sorted(values, key=lambda name: (name not in first, -max(values[name]), name))[:LINES]
    if ranked:
        shown = {(f"{name} (true)" if name in first[:1] else name): values[name] for name in ranked}
        lanes.append(timeline.Lines("probability", windows, shown))
    if "weight" in own:
        weights = own["weight"].astype(float)
        name = f"weight of each window (1 = {weights.max():.3f})"
        lanes.append(
            timeline.Lines(
                name, windows, {"weight": (weights / max(weights.max(), 1e-9)).tolist()}, bars=True
            )
        )
    return lanes
