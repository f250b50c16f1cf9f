"""The commands ``predict``, ``transcribe`` and ``notes``: answers of a trained model to recordings.

Contents: `Request`, `predict`; `together`, `respond`, `answered`.
"""

import contextlib
import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from audiomtl import pictures
from audiomtl.data import answers, formats
from audiomtl.data.answers import Recording, Response, Segments
from audiomtl.data.formats import KINDS, Format
from audiomtl.errors import UserError
from audiomtl.harness.use import streams
from audiomtl.harness.use.inputs import Asked, asked, recording, remarks
from audiomtl.harness.use.models import Loaded, checked_place, opened
from audiomtl.names import csv_text, refuse_existing, safe_name
from audiomtl.settings.validation import nearest


@dataclass(frozen=True)
class Request:
    """Options of the commands."""

    sources: Sequence[Path]  # files, folders and tables
    to: str = "table"  # a format, or a file whose ending names one
    folder: str = ""  # of files that hold one recording each; "" is the current one
    top: int = 3
    head: str = ""  # the only answer that is wanted
    kinds: tuple[str, ...] = formats.ALL  # of answers that are wanted
    over_time: str = ""  # folder
    stream: str = ""  # folder
    threshold: float | None = None  # of segments; None is the model's own
    force: bool = False


def predict(name: str, request: Request, *, seed: int | None = None) -> bool:
    """Answer every recording, and print the answers or write them; returns whether all could be read.

    Raises
    ------
    UserError : an unknown format, or one that holds nothing of what the model produces; a threshold out of
        range; two recordings that would be written under one name; a file that already exists; no model.
    """
    form, file = formats.chosen(request.to)
    if request.threshold is not None and not 0 < request.threshold <= 1:
        raise UserError(f"--threshold {request.threshold:g}: must be above 0 and at most 1")
    if file:
        checked_place(file, (file.suffix,), request.force)
    loaded = opened(name, seed)
    _check_wanted(form, loaded, request)
    found, lost = asked(request.sources, loaded)
    apart = form.single and file is None
    if request.stream or request.over_time or apart or form.name in ("ctm", "rttm"):
        _check_names(found)
    if form.single and file and len(found) != 1:
        raise UserError(
            f"--to {file}: a file holds one recording, but there are {len(found)}; use --to {form.name}"
            " --folder FOLDER"
        )
    if apart and not request.force:
        places = [_place(one.name, form, request) for one in found]
        refuse_existing(places, "use --force to overwrite, or --folder to name another folder")
    loaded = together(loaded, found)
    print(f"{loaded.told}: {_listed(loaded.gives)}", file=sys.stderr)
    if request.stream:
        return streams.write(loaded, found, Path(request.stream), request.threshold or 0.5) and not lost
    complete, kept = not lost, list[Response]()
    if not file and form.head and found:
        print(form.head, end="")
    for one in found:
        try:
            response = answered(one, loaded, request)
            if apart:
                _write_apart(form, response, request)
            elif file:
                kept.append(form.part(response))
            else:
                print(form.text(form.part(response), request.top), end="", flush=True)
            if request.over_time:
                _over_time(response, Path(request.over_time))
        except UserError as error:
            print(f"audiomtl: {error}", file=sys.stderr)
            complete = False
    if file and kept:
        form.write(file, kept, request.top)
        print(f"{file}: {len(kept)} recording{'' if len(kept) == 1 else 's'}", file=sys.stderr)
    return complete


def together(loaded: Loaded, found: Sequence[Asked | Recording]) -> Loaded:
    """The model with what it takes from all recordings that it is to answer, where its family does so."""
    if not hasattr(loaded.use, "adapted"):
        return loaded
    return replace(loaded, fitted=loaded.use.adapted(loaded.fitted, _Readable(loaded.sample_rate, found)))


@dataclass(frozen=True)
class _Readable:
    """The recordings that can be read, each read when its turn comes, as often as they are walked."""

    rate: int  # Hz
    recordings: Sequence[Asked | Recording]

    def __iter__(self) -> Iterator[Recording]:
        for one in self.recordings:
            with contextlib.suppress(UserError):  # told when its turn comes
                yield one if isinstance(one, Recording) else recording(one, self.rate)


def respond(loaded: Loaded, one: Asked | Recording) -> Response:
    """The answers to one recording; of a long file in constant memory, where the family can.

    Raises
    ------
    UserError : it cannot be read, or the model cannot answer it.
    """
    response = _response(loaded, one)
    return replace(response, remarks=(*response.remarks, *remarks(one, loaded.sample_rate)))


def _response(loaded: Loaded, one: Asked | Recording) -> Response:
    if isinstance(one, Asked) and one.path and loaded.sample_rate and hasattr(loaded.use, "respond_file"):
        return loaded.use.respond_file(loaded.fitted, one.path, one.name)
    given = one if isinstance(one, Recording) else recording(one, loaded.sample_rate)
    [response] = loaded.use.respond(loaded.fitted, [given])
    return response


def answered(one: Asked, loaded: Loaded, request: Request) -> Response:
    """The wanted answers to one recording; what its reader should know of it is printed.

    Raises
    ------
    UserError : it cannot be read, or the model cannot answer it.
    """
    response = respond(loaded, one)
    for remark in response.remarks:
        print(f"{response.name}: {remark}", file=sys.stderr)
    wanted = {
        name: answer
        for name, answer in response.answers.items()
        if KINDS[type(answer)] in request.kinds and request.head in ("", name)
    }
    if request.threshold is not None:
        wanted = {
            name: _above(answer, request.threshold, response.seconds)
            if isinstance(answer, Segments)
            else answer
            for name, answer in wanted.items()
        }
    return replace(response, answers=wanted)


def _above(answer: Segments, threshold: float, seconds: float) -> Segments:
    return answers.segments(
        answer.names, answer.starts, answer.seconds, answer.scores, until=seconds, threshold=threshold
    )


def _check_wanted(form: Format, loaded: Loaded, request: Request) -> None:
    """Refuse what the model does not give."""
    gives = loaded.gives
    if not gives:
        raise UserError(f"{loaded.place}: no head of this model answers without a text; use `audiomtl align`")
    wanted = {name: kind for name, kind in gives.items() if kind in request.kinds}
    if not wanted:
        raise UserError(
            f"{loaded.place}: the model gives {_listed(gives)}, but no {' or '.join(request.kinds)}"
        )
    if request.head and request.head not in wanted:
        raise UserError(
            f"--head {request.head}: no such answer{nearest(request.head, wanted)}; {loaded.place} gives"
            f" {_listed(wanted)}"
        )
    kinds = sorted({kind for name, kind in wanted.items() if request.head in ("", name)})
    formats.fitting(form, kinds, loaded.place)
    if (request.over_time or request.stream) and "segments" not in kinds:
        option = "--over-time" if request.over_time else "--stream"
        raise UserError(f"{option}: {loaded.place} gives {_listed(wanted)}, but no scores over time")


def _listed(gives: Mapping[str, str]) -> str:
    """Answers with their kinds, such as "voice (notes)"."""
    return ", ".join(name if name == kind else f"{name} ({kind})" for name, kind in gives.items())


def _check_names(found: Sequence[Asked]) -> None:
    stems = [PurePath(one.name).stem for one in found]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise UserError(
            f"{twice[0]}: two files have this name, so their outputs would overwrite each other; process them"
            " separately"
        )


def _place(name: str, form: Format, request: Request) -> Path:
    """The file of one recording."""
    return Path(request.folder or ".") / f"{safe_name(PurePath(name).stem)}{form.ending}"


def _write_apart(form: Format, response: Response, request: Request) -> None:
    """Write the file of one recording and print its name."""
    place = _place(response.name, form, request)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = form.part(response)
    try:
        form.write(place, [part], request.top)
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror})") from None
    print(f"{place}: {', '.join(_count(part, name) for name in part.answers)}")


def _count(response: Response, name: str) -> str:
    answer = response.answers[name]
    number = len(formats.spans(answer, response.seconds))
    kind = KINDS[type(answer)]
    counted = f"{number} {kind.removesuffix('s') if number == 1 else kind}"
    return counted if name == kind else f"{name} {counted}"


def _over_time(response: Response, folder: Path) -> None:
    """Write the scores over time of one recording, as a table and as a picture."""
    found = {name: answer for name, answer in response.answers.items() if isinstance(answer, Segments)}
    folder.mkdir(parents=True, exist_ok=True)
    stem = safe_name(PurePath(response.name).stem)
    for name, answer in found.items():
        place = folder / (f"{stem}.scores" if len(found) == 1 else f"{stem}.{name}.scores")
        with Path(f"{place}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["start_seconds", "end_seconds", *map(csv_text, answer.names)])
            for start, row in _windows(answer):
                end = start + answer.seconds
                writer.writerow([f"{start:.3f}", f"{end:.3f}", *(f"{value:.6f}" for value in row)])
        pictures.scores_over_time(
            answer.starts + answer.seconds / 2,
            answer.scores,
            answer.names,
            title=PurePath(response.name).name,
            path=Path(f"{place}.png"),
        )


def _windows(answer: Segments) -> Iterator[tuple[float, Sequence[float]]]:
    for start, row in zip(answer.starts.tolist(), answer.scores.tolist(), strict=True):
        if math.isfinite(start):
            yield start, row
