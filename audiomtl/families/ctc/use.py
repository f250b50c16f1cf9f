"""Use of a trained CTC model: phones of new recordings of any length, and alignment of a text with one.

Conventions: times are seconds from the recording's start. A phone begins with the first step in which it is
the likeliest, as in the table of predictions, and lasts until the next symbol begins, but at most
`EXTENSION_SECONDS` behind its own last step. Its score is the mean probability in its own steps, calibrated
where the model has a decoder (`reading`).

Contents: the functions of `contract.Use` (`sample_rate`, `columns`, `gives`, `respond`, `examples`);
`respond_file`; `align`, `check`.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, catalog, features, stream, text
from audiomtl.data.alignments import (
    Alignment,
    aligned,
    check_length,
    check_symbols,
    pronounced,
    spoken_phones,
)
from audiomtl.data.answers import Phones, Recording, Response, Span
from audiomtl.data.pauses import pauses_of
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted
from audiomtl.families.ctc import alignment, forced, long, reading
from audiomtl.families.ctc.alignment import EXTENSION_SECONDS
from audiomtl.families.ctc.examples import Clip, examples_of
from audiomtl.families.ctc.long import is_long, of_array
from audiomtl.families.ctc.model import outputs
from audiomtl.families.ctc.network import reduced
from audiomtl.families.ctc.reading import Transcript
from audiomtl.families.ctc.settings import Settings
from audiomtl.nn import ctc


def sample_rate(settings: Settings) -> int:
    return settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return ()


def gives(settings: Settings) -> dict[str, str]:
    return {"phones": "phones"}


# ---------------------------------------------------------------- phones


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The phones of each recording; of one that is longer than `long.LONGEST_SECONDS` chunk by chunk.

    Raises
    ------
    UserError : a recording without samples, by name.
    """
    short = [one for one in recordings if not is_long(len(one.y), fitted.settings.features)]
    logits = dict(zip(map(id, short), _outputs(fitted, short), strict=True))
    responses = []
    for one in recordings:
        pieces = [logits[id(one)]] if id(one) in logits else long.pieces(fitted, of_array(one.y))
        transcript, count = _transcript(fitted, pieces, one.name)
        responses.append(_response(fitted, one.name, len(one.y), transcript, count))
    return responses


def respond_file(fitted: Fitted, path: Path, name: str = "") -> Response:
    """The phones of a file of any length, in memory that does not grow with it; a decoder needs the outputs
    of all of it, 30 MB for an hour.

    Raises
    ------
    UserError : a file that cannot be read.
    """
    settings = fitted.settings.features
    if not is_long(round(audio.info(path).seconds * settings.sample_rate), settings):
        y = audio.load(path, sample_rate=settings.sample_rate)
        return respond(fitted, [Recording(name or str(path), y)])[0]
    samples = 0

    def blocks() -> Any:
        nonlocal samples
        samples = 0
        rate = settings.sample_rate
        for block in stream.blocks(path, sample_rate=rate, samples=round(long.CHUNK_SECONDS * rate)):
            samples += len(block)
            yield block

    transcript, count = _transcript(fitted, long.pieces(fitted, blocks), name or str(path))
    return _response(fitted, name or str(path), samples, transcript, count)


def _outputs(fitted: Fitted, recordings: Sequence[Recording]) -> list[np.ndarray]:
    """Logits (steps, classes) of recordings, each in one pass."""
    given = [_clip(one.name, one.y, fitted) for one in recordings]
    found = {id(clip): logits for clip, logits in outputs(fitted, given)}
    return [found[id(clip)] for clip in given]


def _clip(name: str, y: np.ndarray, fitted: Fitted) -> Clip:
    if not len(y):
        raise UserError(f"{name}: no samples; the model reads sound")
    nothing = np.zeros(0, np.int32)
    frames = features.extract(np.asarray(y, np.float32), fitted.settings.features)
    return Clip(name, "", frames, nothing, nothing, (), np.zeros(0))


def _transcript(fitted: Fitted, pieces: Iterable[np.ndarray], name: str) -> tuple[Transcript, int]:
    """The transcript of outputs that come piece by piece, and how many pieces there were."""
    mode, decoder = fitted.known.mode, fitted.known.decoder
    if decoder is not None:
        parts = list(pieces)
        try:
            [found] = reading.read([np.concatenate(parts)], mode, decoder)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        return found, len(parts)
    read = [_likeliest(piece, mode) for piece in pieces]
    best, probability = (np.concatenate(parts) for parts in zip(*read, strict=True))
    return reading.greedy(best, probability), len(read)


def _likeliest(logits: np.ndarray, mode: reading.Mode) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest class of each step, and its probability: (steps,) each."""
    # of the outputs themselves, as in the table of predictions: logarithms may round two to one
    best = reading.likeliest(logits, mode)
    return best, np.exp(alignment.log_probabilities(logits, mode)[np.arange(len(best)), best])


def _response(fitted: Fitted, name: str, n_samples: int, transcript: Transcript, pieces: int) -> Response:
    seconds = n_samples / fitted.settings.features.sample_rate
    chunked = (f"read in {pieces} chunks of {long.CHUNK_SECONDS:g} s",) if pieces > 1 else ()
    return Response(name, seconds, {"phones": Phones(_spans(fitted, transcript, seconds))}, chunked)


def _spans(fitted: Fitted, transcript: Transcript, seconds: float) -> tuple[Span, ...]:
    settings, reduction = fitted.settings.features, fitted.settings.network.time_reduction
    # a step on the very end of the recording has no time left: it gets half of the step before
    latest = max(seconds - settings.seconds(reduction) / 2, 0.0)
    starts = [min(settings.seconds(begin * reduction), latest) for begin in transcript.begins.tolist()]
    spans, pauses = [], pauses_of(fitted.settings.data)
    for number, (label, start) in enumerate(
        zip(transcript.phones(fitted.known.vocabulary), starts, strict=True)
    ):
        following = starts[number + 1] if number + 1 < len(starts) else np.inf
        if label not in pauses:
            own_end = settings.seconds(int(transcript.ends[number]) * reduction) + EXTENSION_SECONDS
            score = float(transcript.scores[number])
            spans.append(Span(start, float(min(following, own_end, seconds)), label, score))
    return tuple(spans)


def _step_seconds(settings: Settings) -> float:
    return settings.features.seconds(settings.network.time_reduction)


# ---------------------------------------------------------------- labelled clips


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Clip]:
    """Clips of a labelled table, as those of the training were made; without those that have no transcript,
    more phones than network frames, or, unless ``network.unseen`` counts them, phones that the model does not
    know.

    Raises
    ------
    UserError : no phones and no transcripts; no clip is left.
    """
    settings, vocabulary = fitted.settings, fitted.known.vocabulary
    table = text.with_phones(table, settings.text)
    if "phones" not in table.columns:
        raise UserError(
            f"the table has no column phones, which the scores of this model need; it has"
            f" {', '.join(map(str, table.columns))}"
        )
    table = text.checked(table)
    kept = transcribed = table[~text.untranscribed(table)]
    if transcribed.empty:
        raise UserError("phones: no clip has a transcript")
    if settings.network.unseen == "error":
        kept = kept[[set(phones) <= set(vocabulary) for phones in kept["phones"]]]
    if kept.empty:
        unknown = sorted(set().union(*transcribed["phones"]) - {*vocabulary})
        raise UserError(
            f"phones: every clip has phones that the model does not know, of {' '.join(unknown)}; it knows"
            f" {' '.join(vocabulary)}"
        )
    made = examples_of(kept, vocabulary, settings)
    reduction = settings.network.time_reduction
    return [one for one in made if ctc.feasible(reduced(len(one.frames), reduction), one.labels)]


# ---------------------------------------------------------------- alignment


def check(settings: Settings, does: str, head: str, place: str) -> None:
    """A CTC model aligns, and has no heads."""
    if head:
        raise UserError(f"--head {head}: {place} is a model of the family ctc, which has no heads")


def align(
    fitted: Fitted, y: np.ndarray, said: Sequence[str], *, phones: bool, language: str = ""
) -> Alignment:
    """Align words, or with ``phones`` phones, with a waveform (n_samples,) at the model's rate.

    Parameters
    ----------
    language : of espeak-ng, which then pronounces the words; "" for ``[text]`` of the model's settings, or
        the corpus of its training.

    Raises
    ------
    UserError : symbols that the model does not know; more phones than the sound has steps; nothing that says
        how words become phones.
    """
    settings, vocabulary = fitted.settings, fitted.known.vocabulary
    if not len(y):
        raise UserError("the sound has no samples; give a recording of the text")
    seconds, step = len(y) / settings.features.sample_rate, _step_seconds(settings)
    n_frames = features.n_frames(len(y), settings.features)
    steps = int(reduced(n_frames, settings.network.time_reduction))
    pauses = pauses_of(settings.data)
    if phones:
        said = spoken_phones(said, pauses)
    check_length(len(said), steps, seconds, step, "phones" if phones else "words")
    if phones:
        spoken = [[one] for one in said]
    else:
        speak = getattr(catalog.module(settings.data), "pronounced", None)
        spoken = pronounced(said, settings.text, language, speak)
    check_symbols(said, spoken, [one for one in vocabulary if one not in pauses], phones=phones)
    symbols = [phone for own in spoken for phone in own]
    classes = np.array([vocabulary.index(phone) + 1 for phone in symbols], int)
    needed = ctc.frames_needed(classes) if fitted.known.mode == "ctc" else len(classes)
    check_length(needed, steps, seconds, step, "phones (and repeats)" if needed > len(classes) else "phones")
    if is_long(len(y), settings.features):
        logits = long.logits_of(fitted, of_array(y))
    else:
        [logits] = _outputs(fitted, [Recording("", y)])
    begins = np.cumsum([0, *map(len, spoken)])  # a pause may stand between words, or between given phones
    breaks = np.isin(np.arange(len(classes) + 1), begins)
    if not np.isfinite(logits).all():
        raise UserError(
            "the model's outputs of this recording are not all finite; align it with another model"
        )
    [found] = forced.aligner(fitted)([logits], [classes], [breaks])
    sure = fitted.known.said  # None: of a model of an earlier version
    each = sure.phones(found.evidence) if sure else found.confidence
    times = zip((found.starts * step).tolist(), (found.ends * step).tolist(), strict=True)
    spans = [
        Span(start, end, phone, score)
        for (start, end), phone, score in zip(times, symbols, each.tolist(), strict=True)
    ]
    if not sure:
        return aligned(spans, said, spoken, seconds, phones)
    words = [sure.of_word(found.evidence[first:end]) for first, end in pairwise(begins.tolist())]
    return aligned(
        spans, said, spoken, seconds, phones, words=words, said_at_all=sure.of_text(found.evidence)
    )
