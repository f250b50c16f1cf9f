"""Use of a trained multi-task model: its answers to new recordings, and forced alignment of a text.

Conventions: times are seconds from the recording's start. A text is words, which become phones (by the
settings' ``[text]``, or ``pronounced`` of the experiment's corpus, or of `german_speech`), or phones in the
model's own symbols.

Contents: `align`, `check`; the functions of `contract.Use` (see `answers`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audiomtl.data import catalog, features, normalization
from audiomtl.data.alignments import (
    Alignment,
    aligned,
    check_length,
    check_symbols,
    pronounced,
    spoken_phones,
)
from audiomtl.data.answers import Span
from audiomtl.data.corpora import german_speech
from audiomtl.data.pauses import pauses_of
from audiomtl.errors import UserError
from audiomtl.families.multitask import heads, viterbi
from audiomtl.families.multitask.answers import (
    adapted,
    averaged_classes,
    columns,
    examples,
    gives,
    respond,
    sample_rate,
)
from audiomtl.families.multitask.examples import Example
from audiomtl.families.multitask.heads import About, kind
from audiomtl.families.multitask.model import outputs
from audiomtl.families.multitask.steps import text_tokens
from audiomtl.settings.validation import nearest

__all__ = [
    "adapted",
    "align",
    "averaged_classes",
    "check",
    "columns",
    "examples",
    "gives",
    "respond",
    "sample_rate",
]

ABLE: dict[str, Callable[[About], bool]] = {  # what is done with a recording -> the kinds of heads that do it
    "align": lambda about: about.reads_text,
    "notes": lambda about: about.produces == "notes",
}


def align(fitted: Any, y: np.ndarray, said: Sequence[str], *, phones: bool, language: str = "") -> Alignment:
    """Align words, or with ``phones`` phones, with a waveform (n_samples,) at the model's rate.

    Parameters
    ----------
    language : of espeak-ng, which then pronounces the words; "" for the model's own way: ``[text]`` of its
        settings, or that of its corpus.

    Raises
    ------
    UserError : symbols that the model does not know; more phones than the sound has steps; an unknown
        language.
    """
    settings = fitted.settings
    frames = _frames(y, fitted)
    steps, step, seconds = (
        -(-len(frames) // settings.stride),
        settings.step_seconds,
        len(y) / settings.features.sample_rate,
    )
    pauses = pauses_of(settings.data)
    if phones:
        said = spoken_phones(said, pauses)
    check_length(len(said), steps, seconds, step, "phones" if phones else "words")
    spoken = [[phone] for phone in said] if phones else _pronounced(said, settings, language)
    known = [one for one in fitted.known.symbols if one not in pauses | {viterbi.PAUSE}]
    check_symbols(said, spoken, known, phones=phones)
    text = [phone for own in spoken for phone in own]
    check_length(len(text), steps, seconds, step, "phones")
    name = _heads(settings, "align", "")[0]
    head, output = settings.heads[name], _answers(fitted, frames, text)[name]
    found = kind(head.kind).spans(
        head, heads.Answer("", {settings.inputs.text: text}, None, output, len(frames)), (), settings
    )
    sure = viterbi.confidence(output, viterbi.path(output)).tolist()
    spans = [Span(*one, score) for one, score in zip(found, sure, strict=True)]
    return aligned(spans, said, spoken, seconds, phones)


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


def _pronounced(words: Sequence[str], settings: Any, language: str) -> list[list[str]]:
    """Phones of each word: in a language, as ``[text]`` says, or as the experiment's corpus speaks it."""
    speak = getattr(catalog.module(settings.data), "pronounced", german_speech.pronounced)
    return pronounced(words, settings.text, language, speak)


def _frames(y: np.ndarray, fitted: Any) -> np.ndarray:  # (n_frames, n_bands)
    """Features of a waveform, of two steps at least."""
    settings = fitted.settings
    frames = features.extract(y, settings.features)
    frames = normalization.of_recording(frames, {}, settings.features.normalize_by, fitted.known.normals)
    if len(frames) <= settings.stride:
        raise UserError(
            f"a sound of {len(y)} samples at {settings.features.sample_rate} Hz is shorter than two steps of"
            f" the model ({settings.step_seconds:g} s each); give a longer one"
        )
    return frames


def _answers(fitted: Any, frames: np.ndarray, text: Sequence[str]) -> dict[str, np.ndarray]:
    """Each head's output on the steps of one recording."""
    tokens = None
    if fitted.settings.inputs.text:
        tokens = text_tokens(text, fitted.known.symbols, pauses_of(fitted.settings.data))
    names = fitted.settings.heads
    example = Example("", frames, dict.fromkeys(names), dict.fromkeys(names, 0.0), tokens, None, {})
    [(_, answers)] = outputs(fitted, [example])
    return answers
