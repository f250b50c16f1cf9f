"""Answers of a model as text and files: which formats there are, what each can hold, and how it is written.

======== ========= ======================= ==============================================================
name     ending    holds                   one line, or one file, is
======== ========= ======================= ==============================================================
table              all                     an answer, for people
jsonl    .jsonl    all                     a recording as one line of JSON
csv      .csv      all                     a class, segment, phone, note or value, with start and end
textgrid .TextGrid segments, phones        a recording for Praat, a tier for each class or answer
labels   .txt      segments, phones, notes a recording for Audacity
ctm      .ctm      phones                  a phone: recording, channel, start, length, phone, score
rttm     .rttm     segments                a segment: SPEAKER, recording, channel, start, length, ..., class
midi     .mid      notes                   a recording, a track for each answer
======== ========= ======================= ==============================================================

Conventions: times are seconds. In CTM and RTTM a recording is called by its file's name without the suffix,
and white space in names and labels is written as ``_``.

Contents: `FORMATS`, `Format`, `chosen`, `fitting`; `rows`, `spans`, `ranked`, `plain`, `text_grid`.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from audiomtl.data import scores
from audiomtl.data.answers import Answer, Classes, Notes, Phones, Response, Segments, Span, Value
from audiomtl.errors import UserError
from audiomtl.names import csv_text
from audiomtl.settings.validation import nearest

KINDS: dict[type, str] = {  # as families say it (`Family.produces`)
    Classes: "classes",
    Segments: "segments",
    Phones: "phones",
    Notes: "notes",
    Value: "values",
}
ALL = tuple(KINDS.values())
COLUMNS = ("file", "answer", "start_seconds", "end_seconds", "label", "score")  # of `rows`


@dataclass(frozen=True)
class Format:
    """How answers are written."""

    name: str
    ending: str  # of its files; "" for what is only printed
    holds: tuple[str, ...]  # kinds of answers
    single: bool  # a file holds one recording
    text: Callable[[Response, int], str]  # response, number of classes that are named
    head: str = ""  # before the first response

    def write(self, path: Path, responses: Sequence[Response], top: int) -> None:
        """Write a file. An existing one is replaced."""
        if self.name == "midi":
            scores.write_notes(path, _tracks(responses[0]))
        else:
            text = "".join(self.text(one, top) for one in responses)
            path.write_text(self.head + text, encoding="utf-8")

    def part(self, response: Response) -> Response:
        """The response with the answers that the format holds."""
        kept = {name: one for name, one in response.answers.items() if KINDS[type(one)] in self.holds}
        return Response(response.name, response.seconds, kept, response.remarks)


def chosen(text: str) -> tuple[Format, Path | None]:
    """The format that ``--to`` names, and the file if it names one by its ending.

    Raises
    ------
    UserError : no such format or ending.
    """
    if text.lower() in FORMATS:
        return FORMATS[text.lower()], None
    endings = {one.ending.lower(): one for one in FORMATS.values() if one.ending} | {".midi": FORMATS["midi"]}
    path = Path(text)
    if path.suffix.lower() in endings:
        return endings[path.suffix.lower()], path
    known = [one.ending for one in FORMATS.values() if one.ending]
    hint = nearest(path.suffix, known) if path.suffix else nearest(text.lower(), list(FORMATS))
    raise UserError(
        f"--to {text}: must be {', '.join(FORMATS)}, or a file that ends in {', '.join(known)}{hint}"
    )


def fitting(one: Format, produced: Sequence[str], place: str) -> None:
    """Refuse a format that holds nothing of what a model produces.

    Parameters
    ----------
    produced : kinds of answers, as `Family.produces` gives them. place : how the model is called.

    Raises
    ------
    UserError : naming the formats that fit.
    """
    if not {*one.holds} & {*produced}:
        able = [other.name for other in FORMATS.values() if {*other.holds} & {*produced}]
        raise UserError(
            f"--to {one.name}: holds {' and '.join(one.holds)}, but {place} gives"
            f" {', '.join(produced)}; use one of {', '.join(able)}"
        )


# ---------------------------------------------------------------- rows


def rows(response: Response, top: int = 0) -> list[dict[str, Any]]:
    """A response as rows of `COLUMNS`: the most probable ``top`` classes (0: all), every segment, phone, note
    (its label is the MIDI number) and value.
    """
    found = []
    for name, answer in response.answers.items():
        for span in spans(answer, response.seconds, top):
            values = (response.name, name, span.start_seconds, span.end_seconds, span.label, span.score)
            found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def spans(answer: Answer, seconds: float, top: int = 0) -> list[Span]:
    """An answer as labels with start and end; classes and values are of the whole recording."""
    match answer:
        case Classes():
            best = ranked(answer, top)
            return [Span(0.0, seconds, label, value) for label, value in best]
        case Segments() | Phones():
            return list(answer.spans)
        case Notes():
            return [Span(start, end, str(pitch)) for start, end, pitch in answer.notes]
        case Value():
            return [Span(0.0, seconds, f"{answer.value:.6g}")]


def ranked(answer: Classes, top: int = 0) -> list[tuple[str, float]]:
    """Classes with their probabilities, the most probable first; ``top`` of them, 0 for all."""
    order = np.argsort(-answer.probabilities, kind="stable")[: top or None]
    return [(answer.names[index], float(answer.probabilities[index])) for index in order]


# ---------------------------------------------------------------- text


def _table(response: Response, top: int) -> str:
    """A line per answer; segments beside a recording's classes are left to other formats."""
    answers = dict(response.answers)
    if "classes" in answers and "segments" in answers:
        del answers["segments"]
    several = len(answers) > 1
    lines = [
        f"{response.name}: {f'{name}: ' if several else ''}{_told(answer, top)}\n"
        for name, answer in answers.items()
    ]
    return "".join(lines)


def _told(answer: Answer, top: int) -> str:
    match answer:
        case Classes():
            best = ranked(answer, top)
            if not answer.exclusive and best[0][1] < answer.threshold:
                return f"no tag (most probable {best[0][0]} {best[0][1]:.3f})"
            shown = [one for one in best if answer.exclusive or one[1] >= answer.threshold]
            return ", ".join(f"{label} {value:.3f}" for label, value in shown)
        case Segments():
            return (
                ", ".join(
                    f"{one.label} {one.start_seconds:.2f}-{one.end_seconds:.2f} s" for one in answer.spans
                )
                or "no segments"
            )
        case Phones():
            return " ".join(one.label for one in answer.spans) or "no phones"
        case Notes():
            return f"{len(answer.notes)} note{'' if len(answer.notes) == 1 else 's'}"
        case Value():
            return f"{answer.value:.4g}"


def plain(response: Response, top: int = 0) -> dict[str, Any]:
    """A response as JSON has it: the most probable ``top`` classes (0: all)."""
    answers = {name: _plain(answer, top) for name, answer in response.answers.items()}
    whole: dict[str, Any] = {"file": response.name, "seconds": _number(response.seconds), "answers": answers}
    return whole | ({"remarks": list(response.remarks)} if response.remarks else {})


def _jsonl(response: Response, top: int) -> str:
    return json.dumps(plain(response, top), ensure_ascii=False) + "\n"


def _plain(answer: Answer, top: int) -> Any:
    """An answer as JSON has it."""
    match answer:
        case Classes():
            return [{"label": label, "probability": round(p, 6)} for label, p in ranked(answer, top)]
        case Notes():
            return [
                {"start_seconds": round(start, 4), "end_seconds": round(end, 4), "pitch": pitch}
                for start, end, pitch in answer.notes
            ]
        case Value():
            return answer.value
        case _:
            return [
                {
                    "start_seconds": round(one.start_seconds, 4),
                    "end_seconds": round(one.end_seconds, 4),
                    "label": one.label,
                    "score": _number(one.score),
                }
                for one in answer.spans
            ]


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _csv(response: Response, top: int) -> str:
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    for row in rows(response, top):
        times = (_fixed(row[column], 3) for column in ("start_seconds", "end_seconds"))
        writer.writerow(
            [csv_text(row["file"]), row["answer"], *times, csv_text(row["label"]), _fixed(row["score"], 6)]
        )
    return page.getvalue()


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def _text_grid(response: Response, top: int) -> str:
    tiers: dict[str, Sequence[Span]] = {}
    for name, answer in response.answers.items():
        if isinstance(answer, Phones):
            tiers[name] = answer.spans
        elif isinstance(answer, Segments):  # of two classes at once each has a tier
            before = "" if len(response.answers) == 1 else f"{name} "
            for label in answer.names:
                tiers[f"{before}{label}"] = [one for one in answer.spans if one.label == label]
    return text_grid(tiers, response.seconds)


def text_grid(tiers: Mapping[str, Iterable[Span]], seconds: float) -> str:
    """A TextGrid of Praat: interval tiers by name, each edge to edge from 0 to ``seconds``."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, found) in enumerate(tiers.items(), start=1):
        filled, last = list[tuple[float, float, str]](), 0.0
        for one in found:
            start = max(one.start_seconds, last)  # windows overlap, and so may segments of a class
            if one.end_seconds <= start:
                continue
            if start > last + 1e-6:
                filled.append((last, start, ""))
            filled.append((start, one.end_seconds, one.label))
            last = one.end_seconds
        if seconds > last + 1e-6:
            filled.append((last, seconds, ""))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{_quoted(name)}"',
        ]
        lines += ["        xmin = 0", f"        xmax = {seconds:.6f}"]
        lines += [f"        intervals: size = {len(filled)}"]
        for index, (start, end, label) in enumerate(filled, start=1):
            lines += [f"        intervals [{index}]:", f"            xmin = {start:.6f}"]
            lines += [f"            xmax = {end:.6f}", f'            text = "{_quoted(label)}"']
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace('"', '""')


def _labels(response: Response, top: int) -> str:
    """Lines of Audacity's labels; with several answers each label begins with its answer's name."""
    several = len(response.answers) > 1
    found = [
        (span.start_seconds, span.end_seconds, f"{name}: {span.label}" if several else span.label)
        for name, answer in response.answers.items()
        for span in spans(answer, response.seconds)
    ]
    return "".join(
        f"{start:.6f}\t{end:.6f}\t{' '.join(label.split())}\n" for start, end, label in sorted(found)
    )


def _ctm(response: Response, top: int) -> str:
    lines = []
    for answer in response.answers.values():
        for one in spans(answer, response.seconds):
            score = f" {one.score:.4f}" if math.isfinite(one.score) else ""
            times = f"{one.start_seconds:.3f} {one.end_seconds - one.start_seconds:.3f}"
            lines.append(f"{_word(PurePath(response.name).stem)} 1 {times} {_word(one.label)}{score}\n")
    return "".join(lines)


def _rttm(response: Response, top: int) -> str:
    lines = []
    for answer in response.answers.values():
        for one in spans(answer, response.seconds):
            score = f"{one.score:.4f}" if math.isfinite(one.score) else "<NA>"
            times = f"{one.start_seconds:.3f} {one.end_seconds - one.start_seconds:.3f}"
            name = _word(PurePath(response.name).stem)
            lines.append(f"SPEAKER {name} 1 {times} <NA> <NA> {_word(one.label)} {score} <NA>\n")
    return "".join(lines)


def _word(text: str) -> str:
    return re.sub(r"\s", "_", text) or "_"


def _tracks(response: Response) -> dict[str, Sequence[scores.Note]]:
    return {name: one.notes for name, one in response.answers.items() if isinstance(one, Notes)}


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("table", "", ALL, False, _table),
        Format("jsonl", ".jsonl", ALL, False, _jsonl),
        Format("csv", ".csv", ALL, False, _csv, f"{','.join(COLUMNS)}\n"),
        Format("textgrid", ".TextGrid", ("segments", "phones"), True, _text_grid),
        Format("labels", ".txt", ("segments", "phones", "notes"), True, _labels),
        Format("ctm", ".ctm", ("phones",), False, _ctm),
        Format("rttm", ".rttm", ("segments",), False, _rttm),
        Format("midi", ".mid", ("notes",), True, lambda response, top: ""),
    )
}
