"""Phrases to be sung over a piano: melody and text, the notes as written and as this singer sings them, and
the piano's.

Conventions as in `singing`: a note is (onset, offset, MIDI pitch), seconds from the clip's start.

Contents: `Sung`, `Phrase`, `compose`, `other_words`, `other_melody`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SILENCE_SECONDS = 0.4  # before the first beat and after the last one

# What makes it hard. Shares are of notes or syllables.
MELISMA, WRONG, REST = 0.15, 0.04, 0.12
LATE_SECONDS = 0.025  # deviation of a vowel from its beat
SCALE = (0, 2, 4, 5, 7, 9, 11)

Note = tuple[float, float, int]
Random = np.random.Generator


class Sung(NamedTuple):
    """One syllable: its text, the word it belongs to, first and last note (exclusive) it is held over."""

    text: str
    word: int
    first: int
    last: int


@dataclass(frozen=True)
class Phrase:
    """What is to be sung and played, in seconds."""

    words: tuple[str, ...]
    syllables: tuple[Sung, ...]
    notes: tuple[Note, ...]  # as sung; the onset is the vowel's, or the change of pitch within one
    score: tuple[Note, ...]  # as written, on the beat
    piano: tuple[Note, ...]
    seconds: float


def compose(
    words: Sequence[str],
    singer_range: tuple[int, int],
    key: int,
    beat: float,
    progression: Sequence[int],
    pattern: int,
    random: Random,
) -> Phrase:
    """Two to three bars of melody with text, and the piano below it."""
    bars = 2 if beat > 0.66 else int(random.integers(2, 4))
    scale = _scale(singer_range, key)
    place = _begin(scale, random)
    score: list[Note] = []
    syllables: list[Sung] = []
    chosen: list[str] = []
    position, end = 0.0, 4.0 * bars
    while position < end - 0.9:
        word = str(random.choice(list(words)))
        parts = word.lower().split("-")
        if position + 0.5 * len(parts) > end:
            break
        chosen.append(word)
        for part in parts:
            held = 1 + (int(random.integers(1, 3)) if random.random() < MELISMA else 0)
            first = len(score)
            for _ in range(held):
                beats = min(float(random.choice([0.5, 1.0, 1.0, 1.5, 2.0])), max(0.5, end - position))
                place = _step(place, scale, random)
                if held > 1 and len(score) > first and scale[place] == score[-1][2]:
                    place += 1 if place + 1 < len(scale) else -1  # a held syllable moves
                score.append(
                    (
                        SILENCE_SECONDS + position * beat,
                        SILENCE_SECONDS + (position + beats) * beat,
                        scale[place],
                    )
                )
                position += beats
            syllables.append(Sung(part, len(chosen) - 1, first, len(score)))
        if random.random() < REST:
            position += 0.5
    seconds = 2 * SILENCE_SECONDS + max(position, end) * beat
    return Phrase(
        tuple(chosen),
        tuple(syllables),
        _sung(score, syllables, random),
        tuple(_rounded(note) for note in score),
        _accompaniment(bars, beat, key, progression, pattern, random),
        seconds,
    )


def _scale(singer_range: tuple[int, int], key: int) -> list[int]:
    low, high = singer_range
    return [pitch for pitch in range(low, high + 1) if (pitch - key) % 12 in SCALE]


def _begin(scale: Sequence[int], random: Random) -> int:
    return int(random.integers(len(scale) // 3, 2 * len(scale) // 3 + 1))


def _step(place: int, scale: Sequence[int], random: Random) -> int:
    return int(np.clip(place + random.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), 0, len(scale) - 1))


def other_words(words: Sequence[str], chosen: Sequence[str], share: float, random: Random) -> list[str]:
    """The text with ``share`` of its words, one at least, replaced by others of the song: no word of it
    can tell that it is not sung.
    """
    found = list(chosen)
    for index in random.permutation(len(found))[: max(1, round(share * len(found)))]:
        found[index] = str(random.choice([word for word in words if word != found[index]]))
    return found


def other_melody(
    score: Sequence[Note], singer_range: tuple[int, int], key: int, share: float, random: Random
) -> list[Note]:
    """The score with the pitches of ``share`` of its notes in a row, one at least, drawn anew, as a melody is
    drawn; times stay.

    A drawn pitch that would be the written one is the scale's next, so that every one of these notes is
    another.
    """
    scale, found = _scale(singer_range, key), list(score)
    count = max(1, round(share * len(found)))
    first = int(random.integers(len(found) - count + 1))
    place = scale.index(found[first - 1][2]) if first else _begin(scale, random)
    for index in range(first, first + count):
        onset, offset, pitch = found[index]
        place = _step(place, scale, random)
        if scale[place] == pitch:
            place += 1 if place + 1 < len(scale) else -1
        found[index] = (onset, offset, scale[place])
    return found


def _rounded(note: tuple[float, float, int]) -> Note:
    return round(note[0], 6), round(note[1], 6), int(note[2])


def _sung(score: Sequence[Note], syllables: Sequence[Sung], random: Random) -> tuple[Note, ...]:
    """The notes as this singer sings them: early, late, now and then wrong.

    An offset is never behind the next onset.
    """
    onsets = [onset + float(np.clip(random.normal(0, LATE_SECONDS), -0.06, 0.06)) for onset, _, _ in score]
    pitches = [
        pitch + (int(random.choice([-2, -1, 1, 2])) if random.random() < WRONG else 0)
        for _, _, pitch in score
    ]
    for one in syllables:  # a change within a syllable stays one
        for index in range(one.first + 1, one.last):
            if pitches[index] == pitches[index - 1]:
                pitches[index] = score[index][2]
                pitches[index - 1] = score[index - 1][2]
    notes = []
    for index, (_, offset, _) in enumerate(score):
        after = onsets[index + 1] if index + 1 < len(score) else np.inf
        gap = after - offset > 0.2  # a rest follows: a singer leaves early
        notes.append(_rounded((onsets[index], min(offset - (0.05 if gap else 0.0), after), pitches[index])))
    return tuple(notes)


def _accompaniment(
    bars: int, beat: float, key: int, progression: Sequence[int], pattern: int, random: Random
) -> tuple[Note, ...]:
    """Chords: together on the beats, broken into eighths, or a bass with chords after it."""
    notes = []
    for bar in range(bars):
        root = 36 + (key + progression[bar % len(progression)]) % 12
        minor = progression[bar % len(progression)] == 9
        chord = [root + 12 + step for step in (0, 3 if minor else 4, 7)]
        chord = [pitch - 12 if pitch > 64 else pitch for pitch in chord]
        if pattern == 0:
            played = [
                (position, 2.0 if position % 2 == 0 else 1.0, pitch)
                for position in (0.0, 2.0, 3.0)
                for pitch in (root, *chord)
            ]
        elif pattern == 1:
            order = (root, chord[0], chord[1], chord[2], chord[0] + 12, chord[2], chord[1], chord[0])
            played = [(0.5 * step, 0.5, pitch) for step, pitch in enumerate(order)]
        else:
            played = [(position, 1.0, root) for position in (0.0, 2.0)] + [
                (position, 0.9, pitch) for position in (1.0, 3.0) for pitch in chord
            ]
        for position, beats, pitch in played:
            onset = SILENCE_SECONDS + (4 * bar + position) * beat + float(random.uniform(0, 0.008))
            notes.append(_rounded((onset, onset + 0.95 * beats * beat, pitch)))
    last: dict[int, int] = {}
    for index, (onset, offset, pitch) in enumerate(sorted(notes)):
        if pitch in last and notes[last[pitch]][1] > onset:  # the key goes up before it comes down again
            notes[last[pitch]] = (notes[last[pitch]][0], round(onset - 0.01, 6), pitch)
        notes.sort()
        last[pitch] = index
        assert offset > onset
    return tuple(sorted(notes))
