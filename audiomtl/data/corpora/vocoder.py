"""Spoken syllables sung: WORLD takes them apart and puts them together again at a melody's pitches and
lengths.

Conventions: a *frame* is `PERIOD` seconds; samples are at `SAMPLE_RATE`. Phones are those of `german_speech`.
Source: WORLD by Morise, Yokomori and Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system",
IEICE 2016 (pyworld).

Contents: `Syllable`, `analyse`, `sing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from audiomtl.data.corpora import espeak, german_speech
from audiomtl.data.corpora.composition import Phrase, Random
from audiomtl.data.corpora.espeak import Utterance

SAMPLE_RATE = 16000  # Hz
PERIOD = 0.005  # seconds between WORLD's frames
HZ_DECIMALS = 3  # of the pitch that WORLD is given
VOICED = frozenset("aː a ɐ aɪ aʊ eː ə ɛ ɛː iː ɪ l m n oː ɔ ɔʏ øː œ uː ʊ v yː ʏ z ŋ".split())  # noqa: SIM905
VOWELS = frozenset("aː a ɐ aɪ aʊ eː ə ɛ ɛː iː ɪ oː ɔ ɔʏ øː œ uː ʊ yː ʏ".split())  # noqa: SIM905
GLIDE_SECONDS = (0.04, 0.12)
SCOOP = 1.5  # semitones: how far below a note may be begun
VIBRATO = (0.15, 0.4)  # semitones
SHORTEST_VOWEL = 24  # frames before the next syllable may begin
LONGEST_LEGATO = 24  # frames between two syllables that are sung through


@dataclass(frozen=True)
class Syllable:
    """A spoken syllable as WORLD sees it, a frame every `PERIOD` seconds."""

    phones: tuple[str, ...]
    boundaries: np.ndarray  # (n_phones + 1,) frames
    vowel: int  # which phone is held
    spectra: np.ndarray  # (frames, bins)
    aperiodicities: np.ndarray  # (frames, bins)
    voiced: np.ndarray  # (frames,) bool


def analyse(utterance: Utterance) -> Syllable:
    """Spectral envelope and aperiodicity of a syllable; its phones say what is voiced."""
    import pyworld

    names, starts, end = german_speech.timed_phones(utterance)
    kept = [index for index, name in enumerate(names) if name != "_"]
    phones = tuple(names[index] for index in kept)
    boundaries = np.round(
        np.array([*(starts[index] for index in kept), end]) / espeak.SAMPLE_RATE / PERIOD
    ).astype(int)
    y, rate = utterance.samples / 32768.0, espeak.SAMPLE_RATE
    hz, times = pyworld.dio(y, rate, frame_period=1000 * PERIOD)
    hz = pyworld.stonemask(y, hz, times, rate)
    hz = np.where(hz > 0, hz, float(np.median(hz[hz > 0])) if (hz > 0).any() else 150.0)
    voiced = np.zeros(len(hz), bool)
    for name, first, last in zip(phones, boundaries[:-1], boundaries[1:], strict=True):
        voiced[first:last] = name in VOICED
    spectra, aperiodicities = (
        pyworld.cheaptrick(y, hz, times, rate),
        pyworld.d4c(y, np.where(voiced, hz, 0.0), times, rate),
    )
    vowel = next((index for index, name in enumerate(phones) if name in VOWELS), None)
    if vowel is None:
        raise RuntimeError(
            f"espeak-ng produced the phones {' '.join(phones)}: a syllable needs a vowel; change its spelling"
            " in WORDS"
        )
    return Syllable(phones, boundaries, vowel, spectra, aperiodicities, voiced)


def sing(
    phrase: Phrase, syllables: Mapping[str, Syllable], random: Random
) -> tuple[np.ndarray, list[tuple[int, int, str]], list[tuple[int, int]]]:
    """Sing a phrase.

    Returns
    -------
    y : (n_samples,) at `SAMPLE_RATE`, before room and noise
    phones : (first frame, frame behind the last, name), in order, pauses left out
    spans : of each syllable, (first frame, frame behind the last); frames are `PERIOD` seconds
    """
    import pyworld

    frames = round(phrase.seconds / PERIOD)
    bins = next(iter(syllables.values())).spectra.shape[1]
    spectra, aperiodicities, voiced = (
        np.full((frames, bins), 1e-12),
        np.full((frames, bins), 1 - 1e-6),
        np.zeros(frames, bool),
    )
    phones: list[tuple[int, int, str]] = []
    spans = _spans(phrase, syllables)
    for one, span in zip(phrase.syllables, spans, strict=True):
        of = syllables[one.text]
        bounds = _boundaries(of, round(phrase.notes[one.first][0] / PERIOD), *span)
        for name, first, last, begin, end in zip(
            of.phones, bounds[:-1], bounds[1:], of.boundaries[:-1], of.boundaries[1:], strict=True
        ):
            if last == first:
                continue
            places = begin + ((np.arange(last - first) + 0.5) / (last - first) * (end - begin)).astype(int)
            places = np.minimum(places, len(of.spectra) - 1)
            spectra[first:last], aperiodicities[first:last] = of.spectra[places], of.aperiodicities[places]
            voiced[first:last] = of.voiced[places]
            phones.append((int(first), int(last), name))
    pitch = _pitch(phrase, spans, frames, random)
    # rounded, since powers have other last bits on other processors, and WORLD turns those into other samples
    hz = np.where(voiced, np.round(440 * 2 ** ((pitch - 69) / 12), HZ_DECIMALS), 0.0)
    y = pyworld.synthesize(hz, spectra, aperiodicities, espeak.SAMPLE_RATE, 1000 * PERIOD)
    y = soxr.resample(y, espeak.SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
    count = round(frames * PERIOD * SAMPLE_RATE)
    return np.pad(y, (0, max(0, count - len(y))))[:count], phones, spans


def _spans(phrase: Phrase, syllables: Mapping[str, Syllable]) -> list[tuple[int, int]]:
    """First frame of each syllable and the one behind its last: consonants stand before the note, a small
    gap is sung through.
    """
    vowels = [round(phrase.notes[one.first][0] / PERIOD) for one in phrase.syllables]
    begins = []
    for index, (one, vowel) in enumerate(zip(phrase.syllables, vowels, strict=True)):
        of = syllables[one.text]
        earliest = vowels[index - 1] + SHORTEST_VOWEL if index else 0
        begins.append(min(vowel, max(vowel - int(of.boundaries[of.vowel] - of.boundaries[0]), earliest)))
    spans = []
    for index, one in enumerate(phrase.syllables):
        end = round(phrase.notes[one.last - 1][1] / PERIOD)
        if index + 1 < len(begins) and begins[index + 1] - end < LONGEST_LEGATO:
            end = begins[index + 1]
        spans.append((begins[index], end))
    return spans


def _boundaries(of: Syllable, vowel: int, begin: int, end: int) -> np.ndarray:  # (n_phones + 1,)
    """Frames of a sung syllable's phones: consonants as spoken where there is room, the vowel takes the
    rest.
    """
    coda = int(of.boundaries[-1] - of.boundaries[of.vowel + 1])
    turn = end - min(coda, (end - vowel) // 2)
    before, after = of.boundaries[: of.vowel + 1], of.boundaries[of.vowel + 1 :]

    def into(source: np.ndarray, first: int, last: int) -> np.ndarray:
        length = max(int(source[-1] - source[0]), 1)
        return np.round(first + (source - source[0]) / length * (last - first)).astype(int)

    return np.concatenate([into(before, begin, vowel)[:-1], [vowel], into(after, turn, end)])


# returns (frames,) MIDI numbers
def _pitch(phrase: Phrase, spans: Sequence[tuple[int, int]], frames: int, random: Random) -> np.ndarray:
    """Steps of the sung notes, with glides between them, scoops after pauses, vibrato on long notes, and
    a slow drift.
    """
    pitch = np.full(frames, float(phrase.notes[0][2]))
    joined = {
        one.first
        for one, (begin, _), (_, before) in zip(phrase.syllables[1:], spans[1:], spans[:-1], strict=True)
        if begin <= before
    }
    joined |= {index for one in phrase.syllables for index in range(one.first + 1, one.last)}
    for index, (onset, offset, number) in enumerate(phrase.notes):
        first = round(onset / PERIOD)
        pitch[first:] = number
        glide = round(random.uniform(*GLIDE_SECONDS) / PERIOD)
        scoop, depth, phase = random.uniform(0, SCOOP), random.uniform(*VIBRATO), random.uniform(0, 2 * np.pi)
        ease = 0.5 - 0.5 * np.cos(np.pi * (np.arange(glide) + 0.5) / glide)
        if index in joined:  # half of it before the note
            begin = max(first - glide // 2, 0)
            before = float(phrase.notes[index - 1][2])
            pitch[begin : begin + glide] = (before + (number - before) * ease)[: frames - begin]
        else:
            pitch[first : first + glide] = (number - scoop * (1 - ease))[: frames - first]
            back = max(first - 60, round(phrase.notes[index - 1][1] / PERIOD) if index else 0)
            pitch[back:first] = number - scoop
        t = np.arange(max(0, round((offset - onset) / PERIOD))) * PERIOD
        swell = np.clip((t - 0.25) / 0.3, 0, 1)
        pitch[first : first + len(t)] += (depth * swell * np.sin(2 * np.pi * 5.5 * t + phase))[
            : frames - first
        ]
    drift = np.interp(np.arange(frames), np.linspace(0, frames, 12), random.normal(0, 0.08, 12))
    return pitch + drift
