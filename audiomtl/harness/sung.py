"""The ``align`` and ``notes`` commands: a trained multi-task model hears a recording; when is which word sung, and which notes are there?

Conventions: times are seconds from the recording's start. A text is words, which espeak-ng turns into phones (``pronounced`` of the
experiment's corpus, or of `german_speech`), or phones in the model's own symbols.

Contents: `Timed`, `Alignment`, `align`, `aligned`, `table`, `notes`, `heard_notes`.
"""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.config import ExperimentFile
from audiomtl.data import audio, catalog, features, scores
from audiomtl.data.corpora import german_speech
from audiomtl.data.scores import Note
from audiomtl.errors import UserError
from audiomtl.harness.listening import recorded_model
from audiomtl.settings.faults import nearest

FORMATS = (".csv", ".TextGrid", ".txt")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
PAUSE = "_"
NEAR = 4  # known symbols that are named beside an unknown one
SHOWN = 5  # unknown symbols that are named


@dataclass(frozen=True)
class Timed:
    """When something is sung."""

    start_seconds: float
    end_seconds: float
    label: str  # a phone or a word


@dataclass(frozen=True)
class Alignment:
    """A whole text on the time of a recording."""

    phones: tuple[Timed, ...]
    words: tuple[Timed, ...]  # () where the text was phones
    firsts: tuple[int, ...]  # number of each word's first phone
    seconds: float  # of the recording


# ---------------------------------------------------------------- a text and its times


def align(file: ExperimentFile, sound: Path, text: str, *, phones: bool, seed: int | None, to: str, force: bool) -> Alignment:
    """When each phone of a text is sung, by the best run of an experiment; also written to ``to`` where that is not "".

    Parameters
    ----------
    text : a file with the text, or the text itself; with ``phones`` it is phones separated by spaces.
    to : ends in ``.csv``, ``.TextGrid`` (Praat) or ``.txt`` (Audacity's labels).

    Raises
    ------
    UserError : an experiment without a head of kind alignment or without a best run; a sound that cannot be read; what `aligned` refuses; a
        file that is there already, without ``force``.
    """
    place = _place(Path(to), FORMATS, force) if to else None
    said = _said(text, phones)
    fitted, y = _ready(file, sound, ("alignment",), "", seed)
    found = aligned(fitted, y, said, phones=phones)
    if place:
        _write(place, _WRITERS[place.suffix](found))
    return found


def aligned(fitted: Any, y: np.ndarray, said: Sequence[str], *, phones: bool) -> Alignment:
    """Put words, or with ``phones`` phones, on the time of a waveform (n_samples,) at the model's rate.

    Raises
    ------
    UserError : symbols that the model does not know; more phones than the sound has steps.
    """
    from audiomtl.nn import judging

    settings = fitted.settings
    frames = _frames(y, fitted)
    steps, step, seconds = -(-len(frames) // settings.stride), settings.step_seconds, len(y) / settings.features.sample_rate

    def fits(count: int, what: str) -> None:
        if count > steps:
            raise UserError(
                f"a text of {count} {what} is longer than the sound: {seconds:.2f} s have {steps} steps of {step:g} s, and every phone "
                "takes one at least; give the text of this recording alone"
            )

    fits(len(said), "phones" if phones else "words")
    spoken = [[phone] for phone in said] if phones else _pronounced(said, settings)
    _known(said, spoken, fitted.symbols, phones=phones)
    text = [phone for own in spoken for phone in own]
    fits(len(text), "phones")
    name = _heads(settings, ("alignment",), "")[0]
    outputs = _outputs(fitted, frames, text)
    found = judging.heard(settings.heads[name], outputs[name], text, fitted.names[name], len(frames), settings)
    timed = tuple(Timed(max(start, 0.0), min(end, seconds), label) for start, end, label in found)
    if phones:
        return Alignment(timed, (), (), seconds)
    firsts = np.cumsum([0, *map(len, spoken)])
    words = [
        Timed(timed[first].start_seconds, timed[last - 1].end_seconds, word)
        for first, last, word in zip(firsts[:-1], firsts[1:], said, strict=True)
    ]
    return Alignment(timed, tuple(words), tuple(firsts[:-1].tolist()), seconds)


def table(found: Alignment) -> str:
    """A line per phone for people: start, end, phone, and the word where one begins."""
    begun = dict(zip(found.firsts, found.words, strict=True))
    lines = [f"{'start':>8} {'end':>8}  phone  {'word' if found.words else ''}".rstrip()]
    for number, one in enumerate(found.phones):
        word = begun[number].label if number in begun else ""
        lines.append(f"{one.start_seconds:8.3f} {one.end_seconds:8.3f}  {one.label:<5}  {word}".rstrip())
    return "\n".join(lines)


def _said(text: str, phones: bool) -> list[str]:
    """Words or phones of a text or of the file that it names."""
    place = "TEXT"
    if os.path.isfile(text):
        place = text
        try:
            text = Path(text).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{place}: cannot be read as text ({error}); save it as UTF-8") from None
    elif text.endswith(".txt") or os.sep in text:
        raise UserError(f"{text}: no such file; TEXT is a file with the text, or the text itself")
    text = unicodedata.normalize("NFC", text)
    said = [phone for phone in text.split() if phone != PAUSE] if phones else WORD.findall(text)
    if not said:
        raise UserError(f"{place}: there are no {'phones' if phones else 'words'} in it; give what is sung")
    return said


def _pronounced(words: Sequence[str], settings: Any) -> list[list[str]]:
    """Phones of each word, as the experiment's corpus speaks it."""
    speak = getattr(catalog.module(settings.data), "pronounced", german_speech.pronounced)
    once = sorted(set(words))
    known = dict(zip(once, speak(once), strict=True))
    return [known[word] for word in words]


def _known(said: Sequence[str], spoken: Sequence[Sequence[str]], symbols: Sequence[str], *, phones: bool) -> None:
    """Refuse phones that are not among the model's symbols."""
    where = {phone: word for word, own in zip(said, spoken, strict=True) for phone in own if phone not in symbols}
    if not where:
        return
    named = []
    for phone, word in list(where.items())[:SHOWN]:
        near = _near(phone, symbols)
        named.append(f'"{phone}"{"" if phones else f" of {word}"}{f" (nearest {chr(32).join(near)})" if near else ""}')
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    rule = "" if phones else "; write a word as it is sung, syllables divided by hyphens (Son-ne), or give phones with --phones"
    known = " ".join(symbol for symbol in symbols if symbol != PAUSE)
    raise UserError(f"unknown symbols: {', '.join(named)}{more}: the model knows {known}{rule}")


def _near(symbol: str, symbols: Sequence[str]) -> list[str]:
    """Known symbols that begin with the same letter in another shape: of "g" the IPA's "ɡ", of "o" also "øː" and "ɔʏ"."""

    def letter(text: str) -> str:  # LATIN SMALL LETTER O WITH STROKE is an O, LATIN SMALL LETTER OPEN O as well
        return unicodedata.name(text[0], text[0]).partition(" WITH ")[0].rpartition(" ")[2]

    same = [known for known in symbols if known != PAUSE and letter(known) == letter(symbol)]
    return sorted(same, key=lambda known: (known[0] != symbol[0], abs(len(known) - len(symbol)), known))[:NEAR]


def _csv(found: Alignment) -> str:
    """A row per phone: its word, where there is one."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(["word", "phone", "start_seconds", "end_seconds"])
    for word, one in zip(_word_of(found), found.phones, strict=True):
        writer.writerow([word, one.label, f"{one.start_seconds:.3f}", f"{one.end_seconds:.3f}"])
    return page.getvalue()


def _word_of(found: Alignment) -> list[str]:
    """The word of each phone, "" without one."""
    lengths = np.diff([*found.firsts, len(found.phones)])
    return [one.label for one, length in zip(found.words, lengths, strict=True) for _ in range(length)] or [""] * len(found.phones)


def _labels(found: Alignment) -> str:
    """Labels of Audacity, of words where there are any."""
    return "".join(f"{one.start_seconds:.6f}\t{one.end_seconds:.6f}\t{one.label}\n" for one in found.words or found.phones)


def _text_grid(found: Alignment) -> str:
    """A TextGrid of Praat, a tier of words where there are any and one of phones, edge to edge from 0 to the end."""
    tiers = {"words": found.words, "phones": found.phones} if found.words else {"phones": found.phones}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {found.seconds:.6f}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), start=1):
        filled, last = [], 0.0
        for one in spans:
            if one.start_seconds > last + 1e-6:
                filled.append(Timed(last, one.start_seconds, ""))
            filled.append(one)
            last = one.end_seconds
        if found.seconds > last + 1e-6:
            filled.append(Timed(last, found.seconds, ""))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0"]
        lines += [f"        xmax = {found.seconds:.6f}", f"        intervals: size = {len(filled)}"]
        for index, one in enumerate(filled, start=1):
            quoted = one.label.replace('"', '""')
            lines += [f"        intervals [{index}]:", f"            xmin = {one.start_seconds:.6f}"]
            lines += [f"            xmax = {one.end_seconds:.6f}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


_WRITERS = {".csv": _csv, ".TextGrid": _text_grid, ".txt": _labels}


# ---------------------------------------------------------------- notes


def notes(file: ExperimentFile, sound: Path, *, head: str, seed: int | None, to: str, force: bool) -> tuple[Path, dict[str, int]]:
    """Write what the best run of an experiment hears as a MIDI file, a track per head of kind notes or melody.

    Parameters
    ----------
    head : one of them; "" takes all. to : "" is the recording's name with ``.mid``, in the current directory.

    Returns
    -------
    the file, and how many notes each track has

    Raises
    ------
    UserError : an experiment without such a head or without a best run; a sound that cannot be read; a file that is there already, without
        ``force``.
    """
    place = _place(Path(to or f"{sound.stem}.mid"), (".mid",), force)
    fitted, y = _ready(file, sound, ("notes", "melody"), head, seed)
    found = heard_notes(fitted, y, head)
    try:
        scores.write_notes(place, found)
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror})") from None
    return place, {name: len(tracks) for name, tracks in found.items()}


def heard_notes(fitted: Any, y: np.ndarray, head: str) -> Mapping[str, Sequence[Note]]:
    """Notes of each head of kind notes or melody, or of one, in a waveform (n_samples,) at the model's rate."""
    from audiomtl.nn import judging

    frames, settings = _frames(y, fitted), fitted.settings
    outputs = _outputs(fitted, frames, ())
    chosen = _heads(settings, ("notes", "melody"), head)
    return {name: judging.heard(settings.heads[name], outputs[name], (), (), len(frames), settings) for name in chosen}


# ---------------------------------------------------------------- both


def _place(path: Path, endings: Sequence[str], force: bool) -> Path:
    """Where to write, checked before any work."""
    if path.suffix not in endings:
        raise UserError(f"--to {path}: must end in {', '.join(endings)}{nearest(path.suffix, endings)}")
    if not path.parent.is_dir():
        raise UserError(f"--to {path}: there is no folder {path.parent}")
    if path.is_dir() or (path.exists() and not force):
        raise UserError(f"{path}: is there already; --force replaces a file, --to names another")
    return path


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def _ready(file: ExperimentFile, sound: Path, kinds: Sequence[str], head: str, seed: int | None) -> tuple[Any, np.ndarray]:
    """The trained model, and the recording (n_samples,) at its rate."""
    if file.raw["model"] != "multitask":
        raise UserError(f'{file.path}: model = "{file.raw["model"]}" has no such heads; only experiments of the multitask family do')
    _usable(file.settings, kinds, head, str(file.path))
    audio.info(sound)
    fitted, run = recorded_model(file, seed)
    _usable(fitted.settings, kinds, head, f"run {run.info.run_id}")  # which may have other settings than the file has by now
    return fitted, audio.load(sound, sample_rate=fitted.settings.features.sample_rate)


def _usable(settings: Any, kinds: Sequence[str], head: str, place: str) -> None:
    """Refuse a model that needs more than the recording, or has no such head."""
    if settings.inputs.score:
        raise UserError(
            f'{place}: inputs.score = "{settings.inputs.score}": the model needs the score of each recording, not its sound alone'
        )
    there = _heads(settings, kinds, "")
    if not there:
        raise UserError(f"{place}: no head of kind {' or '.join(kinds)} that is trained and kept; its heads: {_kinds(settings)}")
    if head and head not in there:
        raise UserError(f"--head {head}: {place} has {', '.join(there)} of kind {' or '.join(kinds)}{nearest(head, there)}")


def _heads(settings: Any, kinds: Sequence[str], head: str) -> list[str]:
    """Names of the heads of some kinds that are trained and kept, or of one of them."""
    found = [name for name, one in settings.heads.items() if one.kind in kinds and one.weight and not one.train_only]
    return [name for name in found if head in ("", name)]


def _kinds(settings: Any) -> str:
    return ", ".join(f"{name} ({one.kind})" for name, one in settings.heads.items())


def _frames(y: np.ndarray, fitted: Any) -> np.ndarray:  # (n_frames, n_bands)
    """Features of a waveform, of two steps at least."""
    settings = fitted.settings
    frames = features.extract(y, settings.features)
    if len(frames) <= settings.stride:
        raise UserError(
            f"a sound of {len(y)} samples at {settings.features.sample_rate} Hz is shorter than two steps of the model "
            f"({settings.step_seconds:g} s each); give a longer one"
        )
    return frames


def _outputs(fitted: Any, frames: np.ndarray, text: Sequence[str]) -> dict[str, np.ndarray]:
    """Each head's output on the steps of one recording."""
    from audiomtl.models import multitask
    from audiomtl.nn.examples import Example
    from audiomtl.nn.targets import text_tokens

    tokens = text_tokens(text, fitted.symbols) if fitted.settings.inputs.text else None
    heads = fitted.settings.heads
    example = Example("", frames, dict.fromkeys(heads), dict.fromkeys(heads, 0.0), tokens, None, {})
    [(_, outputs)] = multitask.outputs_of(fitted, [example])
    return outputs
