"""Styles of the synthetic songs: patterns of one bar, and chords.

Contents: `Style`, `STYLES`, `MAJOR`, `MINOR`, `SEVENTH`, `on`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """Patterns of one bar, a character a step: ``x`` a hit, ``.`` none.

    A bass plays ``x`` the root, ``5`` the fifth, ``8`` the octave.
    """

    beats: int
    steps_per_beat: int
    kick: str
    snare: str
    rim: str
    hat: str
    bass: str
    chord: str
    bass_steps: int  # how long a bass note is held
    chord_steps: int
    progression: tuple[tuple[int, ...], ...]  # a chord per bar, in semitones above the key


MAJOR, MINOR, SEVENTH = (0, 4, 7), (0, 3, 7), (0, 4, 7, 10)


def on(root: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The chord of a shape on a root, in semitones above the key."""
    return tuple(root + step for step in shape)


STYLES = {
    "bossa": Style(
        4,
        4,
        kick="x..xx..xx..xx..x",
        snare="................",
        rim="x..x..x...x..x..",
        hat="x.x.x.x.x.x.x.x.",
        bass="x..55..55..xx..x",
        chord="x..x..x...x.x...",
        bass_steps=2,
        chord_steps=2,
        progression=(on(0, (0, 4, 7, 11)), on(2, (0, 3, 7, 10)), on(7, SEVENTH), on(0, (0, 4, 7, 11))),
    ),
    "breakbeat": Style(
        4,
        4,
        kick="x.x.......xx....",
        snare="....x..x.x..x..x",
        rim="................",
        hat="xxxxxxxxxxxxxxxx",
        bass="x.....8.x..8..5.",
        chord="x...............",
        bass_steps=1,
        chord_steps=12,
        progression=(on(0, MINOR), on(0, MINOR), on(-2, MAJOR), on(-2, MAJOR)),
    ),
    "house": Style(
        4,
        4,
        kick="x...x...x...x...",
        snare="....x.......x...",
        rim="................",
        hat="..x...x...x...x.",
        bass="..x...x...x...x.",
        chord="...x..x....x..x.",
        bass_steps=2,
        chord_steps=1,
        progression=(on(0, MINOR), on(-4, MAJOR), on(3, MAJOR), on(-2, MAJOR)),
    ),
    "reggae": Style(
        4,
        4,
        kick="........x.......",
        snare="................",
        rim="........x.......",
        hat="x..xx..xx..xx..x",
        bass="x..x..5.....8.5.",
        chord="....x.......x...",
        bass_steps=3,
        chord_steps=1,
        progression=(on(0, MAJOR), on(5, MAJOR), on(0, MAJOR), on(7, MAJOR)),
    ),
    "shuffle": Style(
        4,
        3,
        kick="x.....x.....",
        snare="...x.....x..",
        rim="............",
        hat="x.xx.xx.xx.x",
        bass="x.x5.58.85.5",
        chord="x.....x.....",
        bass_steps=1,
        chord_steps=2,
        progression=(on(0, SEVENTH), on(5, SEVENTH), on(0, SEVENTH), on(7, SEVENTH)),
    ),
    "waltz": Style(
        3,
        4,
        kick="x...........",
        snare="............",
        rim="............",
        hat="....x...x...",
        bass="x...........",
        chord="....x...x...",
        bass_steps=4,
        chord_steps=2,
        progression=(on(0, MAJOR), on(0, MAJOR), on(7, SEVENTH), on(0, MAJOR)),
    ),
    "march": Style(
        4,
        4,
        kick="x.......x.......",
        snare="x.xxx.x.x.xxx.xx",
        rim="................",
        hat="................",
        bass="x...5...x...5...",
        chord="....x.......x...",
        bass_steps=3,
        chord_steps=2,
        progression=(on(0, MAJOR), on(7, MAJOR), on(5, MAJOR), on(0, MAJOR)),
    ),
    "rock": Style(
        4,
        4,
        kick="x.....x.x.x.....",
        snare="....x.......x...",
        rim="................",
        hat="x.x.x.x.x.x.x.x.",
        bass="x.x.x.x.x.x.x.x.",
        chord="x.x.x.x.x.x.x.x.",
        bass_steps=2,
        chord_steps=2,
        progression=(on(0, (0, 7, 12)), on(-2, (0, 7, 12)), on(5, (0, 7, 12)), on(0, (0, 7, 12))),
    ),
}
