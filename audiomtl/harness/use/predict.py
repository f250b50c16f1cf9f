"""The ``predict`` command: classes, scores over time and events of audio files.

Contents: `Request`, `predict`.
"""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl import pictures
from audiomtl.config import ExperimentFile
from audiomtl.data.files import csv_text
from audiomtl.errors import UserError
from audiomtl.harness.use.models import part, recorded_model
from audiomtl.settings.validation import nearest

FORMATS = ("table", "jsonl", "csv")


@dataclass(frozen=True)
class Request:
    """Options of the command."""

    files: Sequence[Path]
    output: str  # one of FORMATS
    top: int
    over_time: str  # folder, "" for none
    stream: str  # folder, "" for none
    threshold: float


def predict(file: ExperimentFile, request: Request, *, seed: int | None = None) -> bool:
    """Predict every file and print or write the results; returns whether all files could be read.

    Raises
    ------
    UserError : an unknown format, a threshold out of range, two files that would be written under one name,
        no model.
    """
    if request.output not in FORMATS:
        raise UserError(
            f"--format {request.output}: must be {', '.join(FORMATS)}{nearest(request.output, FORMATS)}"
        )
    if not 0 < request.threshold <= 1:
        raise UserError(f"--threshold {request.threshold:g}: must be above 0 and at most 1")
    stems = [path.stem for path in request.files]
    if (request.stream or request.over_time) and (
        twice := sorted({stem for stem in stems if stems.count(stem) > 1})
    ):
        raise UserError(
            f"{twice[0]}: two files have this name, so their outputs would overwrite each other; process them"
            " separately"
        )
    use = part(file, "use", "Listener")
    use.check_settings(file.raw, str(file.path))
    fitted, run = recorded_model(file, seed)
    use.check_model(fitted, run.info.run_id)
    listener = use.Listener(fitted)
    print(f"{file.name}, seed {run.data.tags['seed']}: {len(listener.classes)} classes", file=sys.stderr)
    complete, first = True, True
    for path in request.files:
        try:
            if request.stream:
                _stream(use, listener, path, request)
                continue
            heard = listener.hear(path)
        except UserError as error:
            print(f"audiomtl: {error}", file=sys.stderr)
            complete = False
            continue
        _say(path, heard, listener.classes, request, first)
        first = False
        if request.over_time:
            _over_time(path, heard, listener.classes, request)
    return complete


def _say(path: Path, heard: Any, classes: tuple[str, ...], request: Request, first: bool) -> None:
    order = np.argsort(-heard.clip, kind="stable")[: request.top]
    found = [(classes[index], float(heard.clip[index])) for index in order]
    if request.output == "jsonl":
        top = [{"label": label, "probability": round(value, 6)} for label, value in found]
        print(json.dumps({"file": str(path), "top": top}, ensure_ascii=False))
    elif request.output == "csv":
        writer = csv.writer(sys.stdout)
        if first:
            writer.writerow(["file", "rank", "label", "probability"])
        for rank, (label, value) in enumerate(found, start=1):
            writer.writerow([csv_text(str(path)), rank, csv_text(label), f"{value:.6f}"])
    else:
        print(f"{path}: {', '.join(f'{label} {value:.3f}' for label, value in found)}")


def _over_time(path: Path, heard: Any, classes: tuple[str, ...], request: Request) -> None:
    folder = Path(request.over_time)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{path.stem}.scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["start_seconds", "end_seconds", *map(csv_text, classes)])
        for start, row in zip(heard.starts, heard.patches, strict=True):
            writer.writerow(
                [f"{start:.3f}", f"{start + heard.seconds:.3f}", *(f"{value:.6f}" for value in row)]
            )
    pictures.scores_over_time(
        heard.starts + heard.seconds / 2,
        heard.patches,
        classes,
        title=path.name,
        path=folder / f"{path.stem}.scores.png",
    )


def _stream(use: Any, listener: Any, path: Path, request: Request) -> None:
    events = use.events(listener.stream(path), listener.classes, request.threshold)
    table, labels, count = use.write_events(events, Path(request.stream), path.stem)
    print(f"{path}: {count} events at {request.threshold:g} or above: {table}, {labels}")
