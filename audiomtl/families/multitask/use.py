"""Use of a trained multi-task model: its answers to new recordings, and forced alignment of a text.

Conventions: times are seconds from the recording's start. A text is words, which espeak-ng turns into phones
(``pronounced`` of the experiment's corpus, or of `german_speech`), or phones in the model's own symbols.

Contents: `Timed`, `Alignment`, `align`, `check`; the functions of `contract.Use` (see `answers`).
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiomtl.data import catalog, features
from audiomtl.data.corpora import german_speech
from audiomtl.errors import UserError
from audiomtl.families.multitask import heads
from audiomtl.families.multitask.answers import columns, examples, gives, respond, sample_rate
from audiomtl.families.multitask.examples import Example
from audiomtl.families.multitask.heads import About, kind
from audiomtl.families.multitask.model import outputs
from audiomtl.families.multitask.steps import text_tokens
from audiomtl.settings.validation import nearest

__all__ = [
    "Alignment",
    "Timed",
    "align",
    "check",
    "columns",
    "examples",
    "gives",
    "respond",
    "sample_rate",
]

PAUSE = "_"
NEAR = 4  # known symbols that are named beside an unknown one
SHOWN = 5  # unknown symbols that are named
ABLE: dict[str, Callable[[About], bool]] = {  # what is done with a recording -> the kinds of heads that do it
    "align": lambda about: about.reads_text,
    "notes": lambda about: about.produces == "notes",
}


@dataclass(frozen=True)
class Timed:
    """A label with start and end."""

    start_seconds: float
    end_seconds: float
    label: str  # a phone or a word


@dataclass(frozen=True)
class Alignment:
    """A text aligned with a recording."""

    phones: tuple[Timed, ...]
    words: tuple[Timed, ...]  # () where the text was phones
    firsts: tuple[int, ...]  # number of each word's first phone
    seconds: float  # of the recording


def align(fitted: Any, y: np.ndarray, said: Sequence[str], *, phones: bool) -> Alignment:
    """Align words, or with ``phones`` phones, with a waveform (n_samples,) at the model's rate.

    Raises
    ------
    UserError : symbols that the model does not know; more phones than the sound has steps.
    """
    settings = fitted.settings
    frames = _frames(y, fitted)
    steps, step, seconds = (
        -(-len(frames) // settings.stride),
        settings.step_seconds,
        len(y) / settings.features.sample_rate,
    )

    def fits(count: int, what: str) -> None:
        if count > steps:
            raise UserError(
                f"a text of {count} {what} is longer than the recording: {seconds:.2f} s have {steps} steps"
                f" of {step:g} s, and every phone takes at least one; give only the text of this recording"
            )

    fits(len(said), "phones" if phones else "words")
    spoken = [[phone] for phone in said] if phones else _pronounced(said, settings)
    _known(said, spoken, fitted.known.symbols, phones=phones)
    text = [phone for own in spoken for phone in own]
    fits(len(text), "phones")
    name = _heads(settings, "align", "")[0]
    head, answers = settings.heads[name], _answers(fitted, frames, text)
    found = kind(head.kind).spans(
        head, answers[name], {settings.inputs.text: text}, (), len(frames), settings
    )
    timed = tuple(Timed(max(start, 0.0), min(end, seconds), label) for start, end, label in found)
    if phones:
        return Alignment(timed, (), (), seconds)
    firsts = np.cumsum([0, *map(len, spoken)])
    words = [
        Timed(timed[first].start_seconds, timed[last - 1].end_seconds, word)
        for first, last, word in zip(firsts[:-1], firsts[1:], said, strict=True)
    ]
    return Alignment(timed, tuple(words), tuple(firsts[:-1].tolist()), seconds)


def check(settings: Any, does: str, head: str, place: str) -> None:
    """Reject a model that needs more than the recording, or has no head for the command ``does`` ("align",
    "notes").
    """
    kinds = [name for name in heads.kinds() if ABLE[does](kind(name).ABOUT)]
    if settings.inputs.score:
        raise UserError(
            f'{place}: inputs.score = "{settings.inputs.score}": the model needs the score of each recording,'
            " not its sound alone"
        )
    there = _heads(settings, does, "")
    if not there:
        raise UserError(
            f"{place}: no head of kind {' or '.join(kinds)} that is trained and kept; its heads:"
            f" {_kinds(settings)}"
        )
    if head and head not in there:
        raise UserError(
            f"--head {head}: {place} has {', '.join(there)} of kind"
            f" {' or '.join(kinds)}{nearest(head, there)}"
        )


def _heads(settings: Any, does: str, head: str) -> list[str]:
    """Names of the heads that do it and are trained and kept, or of one of them."""
    found = [
        name
        for name, one in settings.heads.items()
        if ABLE[does](one.about) and one.weight and not one.train_only
    ]
    return [name for name in found if head in ("", name)]


def _kinds(settings: Any) -> str:
    return ", ".join(f"{name} ({one.kind})" for name, one in settings.heads.items())


def _pronounced(words: Sequence[str], settings: Any) -> list[list[str]]:
    """Phones of each word, as the experiment's corpus speaks it."""
    speak = getattr(catalog.module(settings.data), "pronounced", german_speech.pronounced)
    once = sorted(set(words))
    known = dict(zip(once, speak(once), strict=True))
    return [known[word] for word in words]


def _known(
    said: Sequence[str], spoken: Sequence[Sequence[str]], symbols: Sequence[str], *, phones: bool
) -> None:
    """Refuse phones that are not among the model's symbols."""
    where = {
        phone: word for word, own in zip(said, spoken, strict=True) for phone in own if phone not in symbols
    }
    if not where:
        return
    named = []
    for phone, word in list(where.items())[:SHOWN]:
        near = _near(phone, symbols)
        named.append(
            f'"{phone}"{"" if phones else f" of {word}"}{f" (nearest {chr(32).join(near)})" if near else ""}'
        )
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    rule = (
        ""
        if phones
        else (
            "; spell a word as it is sung, with hyphens between syllables (Son-ne), or give phones with"
            " --phones"
        )
    )
    known = " ".join(symbol for symbol in symbols if symbol != PAUSE)
    raise UserError(f"unknown symbols: {', '.join(named)}{more}: the model knows {known}{rule}")


def _near(symbol: str, symbols: Sequence[str]) -> list[str]:
    """Known symbols that begin with the same letter in another shape: of "g" the IPA's "ɡ", of "o" also
    "øː" and "ɔʏ".
    """

    # LATIN SMALL LETTER O WITH STROKE is an O, LATIN SMALL LETTER OPEN O as well
    def letter(
        text: str,
    ) -> str:
        return unicodedata.name(text[0], text[0]).partition(" WITH ")[0].rpartition(" ")[2]

    same = [known for known in symbols if known != PAUSE and letter(known) == letter(symbol)]
    return sorted(same, key=lambda known: (known[0] != symbol[0], abs(len(known) - len(symbol)), known))[
        :NEAR
    ]


def _frames(y: np.ndarray, fitted: Any) -> np.ndarray:  # (n_frames, n_bands)
    """Features of a waveform, of two steps at least."""
    settings = fitted.settings
    frames = features.extract(y, settings.features)
    if len(frames) <= settings.stride:
        raise UserError(
            f"a sound of {len(y)} samples at {settings.features.sample_rate} Hz is shorter than two steps of"
            f" the model ({settings.step_seconds:g} s each); give a longer one"
        )
    return frames


def _answers(fitted: Any, frames: np.ndarray, text: Sequence[str]) -> dict[str, np.ndarray]:
    """Each head's output on the steps of one recording."""
    tokens = text_tokens(text, fitted.known.symbols) if fitted.settings.inputs.text else None
    names = fitted.settings.heads
    example = Example("", frames, dict.fromkeys(names), dict.fromkeys(names, 0.0), tokens, None, {})
    [(_, answers)] = outputs(fitted, [example])
    return answers
