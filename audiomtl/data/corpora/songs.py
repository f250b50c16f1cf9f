"""Synthetic songs: a style that only some passages carry, played by artists with timbres, tempi and keys of
their own.

Conventions: clips are 22.05 kHz mono 16-bit WAV; times are seconds from the clip's start. A song is a row of
bars. ``style_share`` of them, in runs of two to four (runs that meet are one, the last may be a single bar),
follow the style's patterns of drums, bass and chords (`STYLES`); all others are neutral: held chords, a few
drum hits and a wandering melody from material that every style shares. ``passages`` are the runs.

Nothing but the patterns tells a style: tempo, key, sounds and levels belong to the artist, and every artist
plays every style in turn. Everything is a function of the settings: a song's draws depend on ``corpus_seed``,
its number and its artist alone.

Contents: `STYLES`, `clips`, `artist_of`, `structure`.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from audiomtl.data import audio
from audiomtl.data.corpora import generated
from audiomtl.data.corpora import synthesizer as synth
from audiomtl.data.corpora.styles import MAJOR, MINOR, STYLES, Style, on
from audiomtl.data.corpora.synthesizer import SAMPLE_RATE, Timbre
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Count, Positive


class Settings(DataSet):
    """``[data]`` of the corpus."""

    corpus_seed: int = Field(description="Seed of the generator; another seed makes another corpus.")
    songs: Count = Field(description="Number of songs.")
    styles: Annotated[int, Field(ge=2, le=8)] = Field(description="Number of styles, which are the classes.")
    artists: Count = Field(
        description=(
            "Number of artists, each with timbres, tempo and keys of its own; at most the number of songs."
        )
    )
    shortest_seconds: Positive = Field(description="Duration of the shortest song, in seconds.")
    longest_seconds: Positive = Field(description="Duration of the longest song, in seconds.")
    style_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description=(
            "Fraction of a song's bars that are typical of its style; the other bars could belong to any"
            " song."
        )
    )

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.shortest_seconds > self.longest_seconds:
            raise ValueError(
                f"shortest_seconds <= longest_seconds must hold, but got {self.shortest_seconds} and"
                f" {self.longest_seconds}"
            )
        return self


VERSION = 1  # of this generator: raise it whenever the same settings would give other bytes

# What makes it hard. More of each and a style is less sure to be heard.
LOST_HITS = 0.2  # share of a pattern's hits that are left out
FOREIGN_HITS = 0.04  # share of empty steps that get a hit
FOREIGN_BARS = 0.25  # share of a passage's bars that follow another style's drums
NOISE_DB = (-45.0, -30.0)  # of an artist's recordings, re full scale
PEAK = 0.8


@dataclass(frozen=True)
class Artist:
    """What all songs of one artist share, whatever their style."""

    name: str
    tempo: float  # beats per minute
    key: int  # MIDI number of the root of chords
    kick_hz: float
    snare_hz: float
    rim_hz: float
    hat_seconds: float
    bass: Timbre
    chords: Timbre
    lead: Timbre
    levels: tuple[float, ...]  # kick, snare, rim, hat, bass, chords, lead
    noise_db: float
    tilt: float  # one-pole low pass (above 0) or high emphasis (below 0) of the mix


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table of the corpus; generated in `folder` on first use.

    Returns
    -------
    DataFrame, one row per song, sorted by ``clip_id``: ``clip_id, path, seconds, style, artist, tempo, key,
    passages``

    Raises
    ------
    UserError : settings that cannot be met.
    """
    if data.artists > data.songs:
        raise UserError(f"data.artists = {data.artists}: artists <= songs = {data.songs} must hold; lower it")
    if data.label not in ("", "style"):
        raise UserError(f'data.label = "{data.label}": must be "style"')
    key = hashlib.sha256(
        f"{VERSION} {data.model_dump_json(exclude=generated.READ_ONLY)}".encode()
    ).hexdigest()[:12]
    rows = generated.rows(Path(folder).absolute() / f"songs-{key}", lambda place: _make(data, place))
    table = pd.DataFrame(rows)[["clip_id", "path", "seconds", "style", "artist", "tempo", "key", "passages"]]
    return table


def _generator(data: Settings, *names: object) -> np.random.Generator:
    seed = hashlib.sha256("/".join([str(data.corpus_seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(seed[:16], "big"))


def artist_of(data: Settings, number: int) -> Artist:
    """Everything about artist ``number``."""
    random = _generator(data, "artist", number)

    def timbre(slope: tuple[float, float], attack: tuple[float, float], decay: tuple[float, float]) -> Timbre:
        return Timbre(
            slope=float(random.uniform(*slope)),
            even=float(random.choice([0.1, 0.5, 1.0])),
            harmonics=int(random.integers(3, 9)),
            attack_seconds=float(random.uniform(*attack)),
            decay_seconds=float(random.uniform(*decay)),
            detune=float(random.uniform(0.02, 0.12)),
        )

    return Artist(
        name=f"artist_{number:02d}",
        tempo=float(random.uniform(95, 135)),
        key=int(random.integers(48, 60)),
        kick_hz=float(random.uniform(40, 65)),
        snare_hz=float(random.uniform(160, 260)),
        rim_hz=float(random.uniform(1200, 2400)),
        hat_seconds=float(random.uniform(0.03, 0.09)),
        bass=timbre((1.0, 2.2), (0.003, 0.02), (0.2, 0.8)),
        chords=timbre((0.8, 2.0), (0.003, 0.03), (0.3, 1.5)),
        lead=timbre((0.6, 1.8), (0.005, 0.05), (0.2, 0.9)),
        levels=tuple(
            float(10 ** (db / 20)) for db in random.uniform(-4, 4, 7) + np.array([0, -5, -8, -12, -3, -5, -9])
        ),
        noise_db=float(random.uniform(*NOISE_DB)),
        tilt=float(random.uniform(-0.4, 0.5)),
    )


def structure(bars: int, style_share: float, random: np.random.Generator) -> np.ndarray:
    """Which bars carry the style, (bars,) bool: ``style_share`` of them, at least two, in runs of two to
    four at random places.
    """
    carries = np.zeros(bars, bool)
    wanted = min(bars, max(2, round(style_share * bars)))
    while (left := wanted - int(carries.sum())) > 0:
        run = min(left, int(random.integers(2, 5)))
        start = int(random.integers(0, bars - run + 1))
        free = np.flatnonzero(~carries[start : start + run])
        carries[start + free[:left]] = True
    return carries


def _make(data: Settings, folder: Path) -> Iterator[dict[str, Any]]:
    # processes: short NumPy calls by the thousand, which threads would queue for; spawned, as TensorFlow's
    # threads may be about
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_song, data, folder), range(data.songs), chunksize=8)


def _song(data: Settings, folder: Path, number: int) -> dict[str, Any]:
    """Write one song; its row of the index."""
    artist_number = number % data.artists
    style = sorted(sorted(STYLES)[: data.styles])[(number // data.artists + artist_number) % data.styles]
    artist, random = artist_of(data, artist_number), _generator(data, "song", number)
    seconds = float(random.uniform(data.shortest_seconds, data.longest_seconds))
    tempo = artist.tempo * float(random.uniform(0.94, 1.06))
    key = artist.key + int(random.integers(-2, 3))
    y, passages = render(
        artist, style, seconds, tempo, key, data.style_share, random, styles=sorted(STYLES)[: data.styles]
    )
    clip = f"song_{number:04d}"
    audio.save(folder / f"{clip}.wav", y, sample_rate=SAMPLE_RATE)
    row = {
        "clip_id": clip,
        "seconds": len(y) / SAMPLE_RATE,
        "style": style,
        "artist": artist.name,
        "tempo": round(tempo, 2),
        "key": key,
    }
    return row | {"passages": passages, "samples": len(y)}


def render(
    artist: Artist,
    style: str,
    seconds: float,
    tempo: float,
    key: int,
    style_share: float,
    random: np.random.Generator,
    *,
    styles: list[str],
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """A song's waveform (n_samples,) in [-1, 1] and its passages in seconds."""
    own, beat = STYLES[style], 60 * SAMPLE_RATE / tempo
    # neutral bars have four beats in every style
    mean_beats = style_share * own.beats + (1 - style_share) * 4
    bars = max(3, int(seconds * SAMPLE_RATE / (mean_beats * beat)))
    carries = structure(bars, style_share, random)
    lengths = np.where(carries, own.beats, 4) * beat
    edges = np.concatenate([[0], np.cumsum(lengths)])
    y = np.zeros(int(edges[-1]) + SAMPLE_RATE // 2, np.float32)
    noise = random.standard_normal(SAMPLE_RATE).astype(np.float32)
    kit = {
        "kick": synth.kick(artist.kick_hz),
        "snare": synth.snare(artist.snare_hz, noise),
        "rim": synth.rim(artist.rim_hz),
        "hat": synth.hat(noise, artist.hat_seconds),
    }
    for bar in range(bars):
        if carries[bar]:
            drums = own
            others = [name for name in styles if name != style and STYLES[name].beats == own.beats]
            if others and random.random() < FOREIGN_BARS:
                drums = STYLES[others[int(random.integers(len(others)))]]
            _styled_bar(y, edges[bar], beat, own, drums, artist, kit, key, own.progression[bar % 4], random)
        else:
            _neutral_bar(y, edges[bar], beat, artist, kit, key, random)
    y = y[: int(edges[-1])]
    y = (
        y - artist.tilt * np.concatenate([[0], y[:-1]]).astype(np.float32)
        if artist.tilt < 0
        else _smoothed(y, artist.tilt)
    )
    y *= PEAK / np.abs(y).max()
    y = y + (10 ** (artist.noise_db / 20) * random.standard_normal(len(y))).astype(np.float32)
    starts = np.flatnonzero(np.diff(np.concatenate([[False], carries, [False]]).astype(int)) == 1)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], carries, [False]]).astype(int)) == -1)
    passages = [
        (round(edges[a] / SAMPLE_RATE, 4), round(min(edges[b], len(y)) / SAMPLE_RATE, 4))
        for a, b in zip(starts, ends, strict=True)
    ]
    return np.clip(y, -1, 1), passages


def _smoothed(y: np.ndarray, amount: float) -> np.ndarray:
    return (1 - amount) * y + amount * np.convolve(y, np.ones(4, np.float32) / 4, mode="same").astype(
        np.float32
    )


def _add(y: np.ndarray, at: float, sound: np.ndarray, level: float) -> None:
    start = int(at)
    end = min(len(y), start + len(sound))
    if start < end:
        y[start:end] += level * sound[: end - start]


def _hits(pattern: str, random: np.random.Generator) -> list[int]:
    """Steps that sound: the pattern's, some lost, and some that are not its own where it has any."""
    draws, foreign = random.random(len(pattern)), FOREIGN_HITS if "x" in pattern else 0.0
    return [
        step
        for step, mark in enumerate(pattern)
        if (draws[step] >= LOST_HITS if mark != "." else draws[step] < foreign)
    ]


def _styled_bar(
    y: np.ndarray,
    start: float,
    beat: float,
    own: Style,
    drums: Style,
    artist: Artist,
    kit: dict[str, np.ndarray],
    key: int,
    shape: tuple[int, ...],
    random: np.random.Generator,
) -> None:
    step, level = (
        beat / own.steps_per_beat,
        dict(zip(("kick", "snare", "rim", "hat", "bass", "chords", "lead"), artist.levels, strict=True)),
    )
    for name in ("kick", "snare", "rim", "hat"):
        for hit in _hits(getattr(drums, name), random):
            jitter = random.normal(0, 0.004) * SAMPLE_RATE  # 4 ms: nobody plays on the grid
            _add(
                y,
                max(0, start + hit * beat / drums.steps_per_beat + jitter),
                kit[name],
                level[name] * random.uniform(0.7, 1.0),
            )
    for hit in _hits(own.bass, random):
        root = key - 12 + shape[0] + {"5": 7, "8": 12}.get(own.bass[hit], 0)
        _add(y, start + hit * step, synth.note(artist.bass, root, int(own.bass_steps * step)), level["bass"])
    for hit in _hits(own.chord, random):
        _add(
            y,
            start + hit * step,
            synth.chord(artist.chords, tuple(key + tone for tone in shape), int(own.chord_steps * step)),
            level["chords"],
        )
    _melody(y, start, beat, own.beats, artist, key, level["lead"], random)


def _neutral_bar(
    y: np.ndarray,
    start: float,
    beat: float,
    artist: Artist,
    kit: dict[str, np.ndarray],
    key: int,
    random: np.random.Generator,
) -> None:
    """Four beats that any style could have: a held chord, a long bass note or none, a few hits on
    quarters, the melody.
    """
    level = dict(zip(("kick", "snare", "rim", "hat", "bass", "chords", "lead"), artist.levels, strict=True))
    shape = on(int(random.choice([0, 5, 7, -2, -4])), (MAJOR, MINOR)[int(random.integers(2))])
    _add(
        y,
        start,
        synth.chord(artist.chords, tuple(key + tone for tone in shape), int(4 * beat)),
        level["chords"],
    )
    if random.random() < 0.6:
        _add(
            y,
            start,
            synth.note(artist.bass, key - 12 + shape[0], int(random.integers(1, 5) * beat)),
            level["bass"],
        )
    for name, share in (("kick", 0.3), ("snare", 0.2), ("rim", 0.15), ("hat", 0.5)):
        playing = random.random() < 0.6
        for quarter in range(8):
            if playing and random.random() < share:
                _add(y, start + quarter * beat / 2, kit[name], level[name] * random.uniform(0.7, 1.0))
    _melody(y, start, beat, 4, artist, key, level["lead"], random)


def _melody(
    y: np.ndarray,
    start: float,
    beat: float,
    beats: int,
    artist: Artist,
    key: int,
    level: float,
    random: np.random.Generator,
) -> None:
    scale = (0, 2, 4, 7, 9, 12, 14)
    for half in range(2 * beats):
        if random.random() < 0.35:
            pitch = key + 12 + scale[int(random.integers(len(scale)))]
            _add(
                y,
                start + half * beat / 2,
                synth.note(artist.lead, pitch, int(random.integers(1, 4) * beat / 2)),
                level,
            )
