"""Recordings of any length, in constant memory: events are written as they are found.

Contents: `write`.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from audiomtl.data import answers, audio
from audiomtl.data.answers import Span
from audiomtl.errors import UserError
from audiomtl.harness.use.inputs import Asked, remarks
from audiomtl.harness.use.models import Loaded
from audiomtl.names import csv_text, safe_name


def write(loaded: Loaded, found: Sequence[Asked], folder: Path, threshold: float) -> bool:
    """Write the events of each recording, ``STEM.events.csv`` and Audacity's ``STEM.labels.txt``; returns
    whether all could be read.

    Raises
    ------
    UserError : the family, or the model, cannot do it.
    """
    if not hasattr(loaded.use, "stream"):
        raise UserError(
            f'{loaded.place}: model = "{loaded.settings.model}": this family reads whole recordings only;'
            " leave out --stream"
        )
    complete = True
    for one in found:
        try:
            stream = loaded.use.stream(loaded.fitted, one.path)
            spans = answers.joined(stream.scores, stream.names, stream.seconds, threshold)
            until = audio.info(one.path).seconds if one.path else float("inf")
            table, labels, count = write_events(
                _cut(spans, until), folder, safe_name(PurePath(one.name).stem)
            )
            events = f"{count} event{'' if count == 1 else 's'}"
            for remark in remarks(one, loaded.sample_rate):
                print(f"{one.name}: {remark}", file=sys.stderr)
            print(f"{one.name}: {events} at {threshold:g} or above: {table}, {labels}")
        except UserError as error:
            print(f"audiomtl: {error}", file=sys.stderr)
            complete = False
    return complete


def _cut(spans: Iterator[Span], until: float) -> Iterator[Span]:
    """Spans that end with the recording at the latest."""
    for span in spans:
        if span.start_seconds < until:
            yield Span(span.start_seconds, min(span.end_seconds, until), span.label, span.score)


def write_events(found: Iterator[Span], folder: Path, stem: str) -> tuple[Path, Path, int]:
    """Write both files; returns them and how many events there were.

    They are written as events come and get their names when the last one has: a file that turns out cut off
    leaves neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places, count = (folder / f"{stem}.events.csv", folder / f"{stem}.labels.txt"), 0
    parts = [place.with_name(f"{place.name}.part") for place in places]
    try:
        with (
            parts[0].open("w", newline="", encoding="utf-8") as table,
            parts[1].open("w", encoding="utf-8") as labels,
        ):
            writer = csv.writer(table)
            writer.writerow(["start_seconds", "end_seconds", "label", "peak"])
            for one in found:
                times = (f"{one.start_seconds:.3f}", f"{one.end_seconds:.3f}")
                writer.writerow([*times, csv_text(one.label), f"{one.score:.4f}"])
                labels.write(f"{one.start_seconds:.6f}\t{one.end_seconds:.6f}\t{one.label}\n")
                count += 1
        for part, place in zip(parts, places, strict=True):
            part.replace(place)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return *places, count
