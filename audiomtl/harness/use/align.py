"""The ``align`` command: when each word and phone of a text is sung or spoken in a recording.

Contents: `align`, `align_many`, `table`, `rows`, `COLUMNS`, `ENDINGS`, `FORMATS`.
"""

import csv
import io
import math
import os
import sys
import unicodedata
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.data import audio
from audiomtl.data.text import words_of
from audiomtl.errors import UserError
from audiomtl.harness.use import texts
from audiomtl.harness.use.models import checked_place, opened, part, recorded_model
from audiomtl.harness.use.texts import Task
from audiomtl.names import refuse_existing
from audiomtl.settings.validation import nearest

COLUMNS = ("word", "phone", "start_seconds", "end_seconds", "confidence", "word_confidence")  # of `rows`
LEAST_SAID = 0.5  # probability below which a text is reported as not said


def align(
    model: ExperimentFile | str,
    sound: Path,
    text: str,
    *,
    phones: bool,
    seed: int | None,
    to: str,
    force: bool,
    language: str = "",
) -> Any:
    """Align a text with a recording; the alignment is also written to ``to`` unless that is "".

    Parameters
    ----------
    model : an experiment, whose best run is used, or what else `models.opened` opens.
    text : a file with the text, or the text itself; with ``phones`` it is phones separated by spaces.
    to : ends in one of `ENDINGS`.
    language : of espeak-ng, which then pronounces the words; "" for the model's own way.

    Raises
    ------
    UserError : an experiment that cannot align or has no best run; a sound that cannot be read; a text that
        does not fit; a file that already exists, without ``force``.
    """
    _check_language(language, phones)
    place = checked_place(Path(to), ENDINGS, force) if to else None
    said = _said(text, phones)
    audio.info(sound)
    use, fitted = _opened(model, seed)
    y = audio.load(sound, sample_rate=fitted.settings.features.sample_rate)
    found = use.align(fitted, y, said, phones=phones, language=language)
    if place:
        _write(place, found, sound.stem)
    return found


def align_many(
    model: ExperimentFile | str,
    source: Path,
    *,
    phones: bool,
    seed: int | None,
    to: str,
    form: str,
    force: bool,
    language: str = "",
) -> bool:
    """Align every recording of a folder or a table with its text, and write a file for each.

    A recording that cannot be aligned is reported and costs that recording only.

    Parameters
    ----------
    source : what `texts.tasks` reads.
    to : folder of the files, which lie in it as the recordings lie in ``source``.
    form : one of `FORMATS`, or of `ENDINGS`.

    Returns
    -------
    whether all were aligned

    Raises
    ------
    UserError : no recordings with texts; files that already exist, without ``force``; what `align` refuses
        before it reads a recording.
    """
    _check_language(language, phones)
    if (ending := FORMATS.get(form.lower(), form)) not in ENDINGS:
        raise UserError(f"--format {form}: must be {', '.join(FORMATS)}{nearest(form, FORMATS)}")
    texts.check_source(source)
    if not to:
        raise UserError(f"{source}: holds several recordings; name the folder of the alignments with --to")
    found = texts.tasks(source)
    places = {one.path: Path(to) / f"{one.name}{ending}" for one in found}
    if not force:
        refuse_existing(places.values(), "use --force to overwrite, or --to to name another folder")
    use, fitted = _opened(model, seed)
    failed = 0
    for one in found:
        try:
            said = _split(one.text, phones, one.place)
            y = audio.load(one.path, sample_rate=fitted.settings.features.sample_rate)
            result = use.align(fitted, y, said, phones=phones, language=language)
        except UserError as error:
            said_so = str(error) if str(one.path) in str(error) else f"{one.path}: {error}"
            print(f"audiomtl: {said_so}", file=sys.stderr)
            failed += 1
            continue
        places[one.path].parent.mkdir(parents=True, exist_ok=True)
        _write(places[one.path], result, one.path.stem)
        print(_line(one, result, places[one.path]))
    print(f"{len(found) - failed} of {len(found)} recordings aligned")
    return not failed


def _opened(model: ExperimentFile | str, seed: int | None) -> tuple[ModuleType, Any]:
    """The module ``use`` of a model that aligns, and the trained model."""
    if isinstance(model, str) and (model.startswith("models:/") or Path(model).is_dir()):
        loaded = opened(model, seed)
        if not hasattr(loaded.use, "align"):
            raise UserError(
                f'{loaded.place}: model = "{loaded.settings.model}": this family does not align texts'
            )
        loaded.use.check(loaded.settings, "align", "", loaded.place)
        return loaded.use, loaded.fitted
    file = config.load_experiment(model) if isinstance(model, str) else model
    use = part(file, "use", "align")
    use.check(file.settings, "align", "", str(file.path))
    fitted, run = recorded_model(file, seed)
    # which may have other settings than the file has by now
    use.check(fitted.settings, "align", "", f"run {run.info.run_id}")
    return use, fitted


def _line(one: Task, found: Any, place: Path) -> str:
    """What was aligned, and how sure the model is of it: the mean of the phones' confidences."""
    sure = float(np.mean([span.score for span in found.phones]))
    worst = min(found.words or found.phones, key=lambda span: span.score)
    return (
        f"{place}: {len(found.phones)} phones, confidence {sure:.2f}, least of {worst.label}"
        f" ({worst.score:.2f} at {worst.start_seconds:.2f} s)"
        + (f"; this text was probably not said ({found.said:.2f})" if found.said < LEAST_SAID else "")
    )


def _check_language(language: str, phones: bool) -> None:
    if language and phones:
        raise UserError(
            f"--language {language}: --phones says that the text consists of phones; leave one out"
        )
    if language:
        from audiomtl.data.pronunciation import check_language

        check_language(language, "--language")


def _write(place: Path, found: Any, name: str) -> None:
    try:
        place.write_text(_WRITERS[place.suffix](found, name), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror})") from None


def table(found: Any) -> str:
    """A line per phone for people: start, end, phone, confidence, and the word where one begins."""
    begun = dict(zip(found.firsts, found.words, strict=True))
    lines = [f"{'start':>8} {'end':>8}  phone  confidence  {'word' if found.words else ''}".rstrip()]
    for number, one in enumerate(found.phones):
        word = begun[number].label if number in begun else ""
        times = f"{one.start_seconds:8.3f} {one.end_seconds:8.3f}"
        lines.append(f"{times}  {one.label:<5}  {one.score:10.2f}  {word}".rstrip())
    if found.said < LEAST_SAID:  # never of NaN: of a model that cannot tell
        lines.append(f"this text was probably not said (probability {found.said:.2f})")
    return "\n".join(lines)


def _said(text: str, phones: bool) -> list[str]:
    """Words or phones of a text or of the file that it names."""
    place = "TEXT"
    if os.path.isfile(text):
        place = text
        text = texts.read(Path(text))
    elif text.endswith(".txt") or os.sep in text:
        raise UserError(f"{text}: no such file; TEXT is a file with the text, or the text itself")
    return _split(text, phones, place)


def _split(text: str, phones: bool, place: str) -> list[str]:
    said = unicodedata.normalize("NFC", text).split() if phones else words_of(text)
    if not said:
        raise UserError(
            f"{place}: contains no {'phones' if phones else 'words'}; give the text of the recording"
        )
    return said


def rows(found: Any) -> list[tuple[str, str, float, float, float, float]]:
    """An alignment as rows of `COLUMNS`, one per phone; without words they have "" and NaN."""
    return [
        (
            word.label if word else "",
            phone.label,
            phone.start_seconds,
            phone.end_seconds,
            phone.score,
            word.score if word else math.nan,
        )
        for word, phone in zip(_word_of(found), found.phones, strict=True)
    ]


def _csv(found: Any, name: str) -> str:
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for word, phone, start, end, sure, word_sure in rows(found):
        confidences = (f"{sure:.4f}", f"{word_sure:.4f}" if word else "")
        writer.writerow([word, phone, f"{start:.3f}", f"{end:.3f}", *confidences])
    return page.getvalue()


def _word_of(found: Any) -> list[Any]:
    """The word of each phone, None without one."""
    lengths = np.diff([*found.firsts, len(found.phones)])
    words = [one for one, length in zip(found.words, lengths, strict=True) for _ in range(length)]
    return words or [None] * len(found.phones)


def _labels(found: Any, name: str) -> str:
    """Labels of Audacity, of words where there are any."""
    return "".join(
        f"{one.start_seconds:.6f}\t{one.end_seconds:.6f}\t{one.label}\n"
        for one in found.words or found.phones
    )


def _ctm(found: Any, name: str) -> str:
    """NIST's time-marked lines, of words where there are any: recording, channel, start, duration, word,
    confidence.
    """
    recording = "_".join(name.split())
    return "".join(
        f"{recording} 1 {one.start_seconds:.3f} {one.end_seconds - one.start_seconds:.3f} {one.label}"
        f" {one.score:.4f}\n"
        for one in found.words or found.phones
    )


def _text_grid(found: Any, name: str) -> str:
    """A TextGrid of Praat, a tier of words where there are any and one of phones, edge to edge from 0 to
    the end.
    """
    tiers = {"words": found.words, "phones": found.phones} if found.words else {"phones": found.phones}
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {found.seconds:.6f}",
        "tiers? <exists>",
    ]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), start=1):
        filled, last = [], 0.0
        for one in spans:
            if one.start_seconds > last + 1e-6:
                filled.append((last, one.start_seconds, ""))
            filled.append((one.start_seconds, one.end_seconds, one.label))
            last = one.end_seconds
        if found.seconds > last + 1e-6:
            filled.append((last, found.seconds, ""))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{name}"',
            "        xmin = 0",
        ]
        lines += [f"        xmax = {found.seconds:.6f}", f"        intervals: size = {len(filled)}"]
        for index, (start, end, label) in enumerate(filled, start=1):
            quoted = label.replace('"', '""')
            lines += [f"        intervals [{index}]:", f"            xmin = {start:.6f}"]
            lines += [f"            xmax = {end:.6f}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


_WRITERS = {".csv": _csv, ".TextGrid": _text_grid, ".txt": _labels, ".ctm": _ctm}
ENDINGS = tuple(_WRITERS)
FORMATS = {"textgrid": ".TextGrid", "csv": ".csv", "labels": ".txt", "ctm": ".ctm"}
