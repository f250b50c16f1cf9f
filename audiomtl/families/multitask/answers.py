"""What a trained multi-task model says of new recordings, head by head; and other labelled clips.

An answer has the name of its head. Heads that are not kept (``train_only``), not trained (weight 0), or that
read a text (alignment) have none.

Contents: the functions of `contract.Use`; `averaged_classes`, `example_of`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import normalization, text
from audiomtl.data.answers import (
    Answer,
    Classes,
    Notes,
    Phones,
    Recording,
    Response,
    Segments,
    Span,
    Value,
    segments,
)
from audiomtl.data.pauses import pauses_of
from audiomtl.data.scores import KEYS
from audiomtl.data.tags import THRESHOLD
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.multitask import heads
from audiomtl.families.multitask.examples import (
    Example,
    example,
    frames_of,
    refuse_texts,
    with_arrays,
    with_scaled_targets,
)
from audiomtl.families.multitask.heads import kind
from audiomtl.families.multitask.model import outputs
from audiomtl.families.multitask.settings import Head, Settings
from audiomtl.families.multitask.steps import rolls, step_times, text_tokens

SHORTEST_SECONDS = 1e-3  # of a phone or note that the recording's end cuts


def sample_rate(settings: Settings) -> int:
    return settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return (settings.inputs.score,) if settings.inputs.score else ()


def gives(settings: Settings) -> dict[str, str]:
    """Heads that are kept and trained, and that answer without a text."""
    return {
        name: head.about.produces
        for name, head in settings.heads.items()
        if head.weight and not head.train_only and head.about.produces and not head.about.reads_text
    }


def averaged_classes(fitted: Fitted) -> dict[str, tuple[str, ...]]:
    """Classes of the answers that are averaged over models.

    Raises
    ------
    UserError : a head that gives something else than the probabilities of a clip's class.
    """
    kept = {name: head for name, head in fitted.settings.heads.items() if not head.train_only}
    for name, head in kept.items():
        if head.about.activation != "softmax" or not head.about.per_clip:
            raise UserError(
                f"heads.{name}: the answers of a head of kind {head.kind} are not probabilities of a clip's"
                " class, so they have no mean; export one seed"
            )
    return {name: tuple(fitted.known.names[name]) for name in kept}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The answers of every head that is kept, by its name."""
    chosen = {name: fitted.settings.heads[name] for name in gives(fitted.settings)}
    given = [example_of(one, fitted) for one in recordings]
    found = {id(example): answer for example, answer in outputs(fitted, given)}
    return [
        _response(one, example, found[id(example)], chosen, fitted)
        for one, example in zip(recordings, given, strict=True)
    ]


def adapted(fitted: Fitted, recordings: Iterable[Recording]) -> Fitted:
    """The model with the statistics of recordings that are answered together, for features.normalize_by."""
    normals = normalization.of_recordings(recordings, fitted.settings.features)
    return replace(fitted, known=replace(fitted.known, normals=normals))


def example_of(one: Recording, fitted: Fitted) -> Example:
    """A recording as a clip without labels."""
    settings = fitted.settings
    frames = contract.heard(one, settings.features)
    by = settings.features.normalize_by
    frames = normalization.of_recording(frames, one.columns, by, fitted.known.normals)
    tokens = text_tokens((), fitted.known.symbols) if settings.inputs.text else None
    roll = None
    if settings.inputs.score:
        notes = one.columns.get(settings.inputs.score)
        if notes is None:
            raise UserError(
                f"{one.name}: the model reads the score of a recording; give a table with a column"
                f" {settings.inputs.score}"
            )
        roll = rolls(notes, step_times(len(frames), settings), one.name)[:, KEYS:]
    names = settings.heads
    return Example(one.name, frames, dict.fromkeys(names), dict.fromkeys(names, 0.0), tokens, roll, {})


def _response(
    one: Recording,
    example: Example,
    found: dict[str, np.ndarray],
    chosen: dict[str, Head],
    fitted: Fitted,
) -> Response:
    settings = fitted.settings
    seconds, frames = len(one.y) / sample_rate(settings), len(example.frames)
    answers: dict[str, Answer] = {
        name: _answer(
            head,
            heads.Answer(one.name, {}, None, found[name], frames, fitted.known.decoders.get(name), found),
            fitted.known.names[name],
            seconds,
            settings,
        )
        for name, head in chosen.items()
    }
    remarks = contract.padded(seconds, settings.step_seconds)
    remarks += normalization.remarks(one, settings.features.normalize_by, fitted.known.normals)
    return Response(one.name, seconds, answers, remarks)


def _answer(head: Head, one: heads.Answer, names: Sequence[str], until: float, settings: Settings) -> Answer:
    what, output, n_frames = head.about.produces, one.output, one.n_frames
    if what == "classes":
        read = getattr(kind(head.kind), "probabilities", None)  # tags are logits
        return Classes(tuple(names), read(output) if read else output, read is None, THRESHOLD)
    if what == "values":
        return Value(float(output[0]))
    if what == "segments":
        return _segments(head, one, names, until, settings)
    found = kind(head.kind).spans(head, one, names, settings)
    within = [(max(start, 0.0), min(end, until), label) for start, end, label in found]
    within = [span for span in within if span[1] - span[0] >= SHORTEST_SECONDS]
    if what == "notes":
        return Notes(tuple((start, end, int(pitch)) for start, end, pitch in within))
    pauses = pauses_of(settings.data)
    read = getattr(kind(head.kind), "probabilities", None)  # of CTC: a phone is said in few of its steps
    output, sure = (output, np.mean) if read is None else (read(output), np.max)
    first = output.shape[1] - len(names)  # behind a blank, where there is one
    spans = [
        Span(
            start,
            end,
            str(label),
            _score(output, first + list(names).index(label), start, end, n_frames, settings, sure),
        )
        for start, end, label in within
        if label not in pauses
    ]
    return Phones(tuple(spans))


def _segments(
    head: Head, one: heads.Answer, names: Sequence[str], until: float, settings: Settings
) -> Segments:
    read = kind(head.kind)
    starts = np.maximum(step_times(one.n_frames, settings) - settings.step_seconds / 2, 0.0)
    scores: np.ndarray = read.read(one)  # type: ignore[attr-defined]
    active: np.ndarray = read.activity_of(head, one)  # type: ignore[attr-defined]
    return segments(names, starts, settings.step_seconds, scores, until=until, active=active)


def _score(
    output: np.ndarray,
    number: int,
    start: float,
    end: float,
    n_frames: int,
    settings: Settings,
    of: Callable[[np.ndarray], Any],
) -> float:
    """Mean or largest probability of a class over the steps of a span."""
    times = step_times(n_frames, settings)
    inside = (times >= start) & (times < end)
    return float(of(output[inside, number])) if inside.any() else float("nan")


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows, where it learns one; of other labels those that are there."""
    settings, known = fitted.settings, fitted.known
    for name, head in settings.heads.items():
        if head.about.produces in ("classes", "segments") and not head.column:
            table = contract.known_classes(table, settings.data.label, known.names[name])
    table = text.with_phones(with_arrays(table), settings.text)
    refuse_texts(table, settings)
    for name, head in settings.heads.items():
        _check(name, head, table, settings)
    frames = frames_of(table, settings, trained=True)
    rows = table.to_dict("records")
    made = [example(row, frames, known.names, known.symbols, settings) for row in rows]
    return with_scaled_targets({"test": made}, known.scaler, settings)["test"]


def _check(name: str, head: Head, table: pd.DataFrame, settings: Settings) -> None:
    """The columns that a head learns are there."""
    given = (settings.inputs.text,) if head.about.reads_text else ()
    for wanted in (head.reads(settings.data.label), *head.about.beside, *given):
        if wanted not in table.columns:
            raise UserError(
                f"heads.{name}: kind {head.kind} needs a column {wanted}, which the table has not; it has"
                f" {', '.join(map(str, table.columns))}"
            )
