"""Synthetic sound scenes: one to three events of one class in a background, with onset and offset times,
sources and folds.

Conventions: clips are 16 kHz mono 16-bit WAV of 5 s; times are seconds from the clip's start. A class is a
small physical model (`EVENTS`); a *source* is one thing that makes the sound, with pitch, rate and timbre of
its own, recorded in one fold only, as in ESC-50. Models lie close to each other on purpose: bell, alarm and
glass ring, knocks, footsteps and clicks are rows of taps, sirens, whistles and birds glide. Backgrounds and
distractors say nothing of the class.

Everything is a function of the settings: a clip's draws depend on ``corpus_seed``, its source and its number
alone.

Contents: `EVENTS`, `clips`.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.signal import lfilter

from audiomtl.data import audio
from audiomtl.data.corpora import generated, room
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Count, NotNegative
from audiomtl.settings.validation import nearest


class Settings(DataSet):
    """``[data]`` of the corpus."""

    corpus_seed: int = Field(description="Seed of the generator; another seed makes another corpus.")
    sources: Annotated[int, Field(ge=5, multiple_of=5)] = Field(
        description="Number of sound sources per class, dealt to five folds in turn."
    )
    takes: Count = Field(description="Number of clips per source.")
    signal_to_noise_db: float = Field(
        description="Level of the events over background and distractors, in dB, mean over clips."
    )
    reverberation_seconds: NotNegative = Field(
        description="Longest reverberation time (RT60) of the simulated rooms, in seconds; 0 is dry."
    )


VERSION = 2  # of this generator: raise it whenever the same settings would give other bytes
SAMPLE_RATE = 16000  # Hz
SECONDS = 5.0
FOLDS = 5
PEAK = 0.7
LONGEST_EVENT_SECONDS = 1.4  # three of them and the pauses between fit into a clip, whatever the class
FADE_SECONDS = 0.02
PAUSE_SECONDS = 0.1  # least, between events
LABELS = ("event", "background")

Random = np.random.Generator


# ---------------------------------------------------------------- sounds: (source's habits, random) ->
# (n_samples,)


def _time(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _glide(hz: np.ndarray, harmonics: int, slope: float) -> np.ndarray:
    """A tone whose pitch follows ``hz`` (n_samples,); harmonic k has amplitude k ** -slope, none above 7
    kHz.
    """
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    return sum(
        (k**-slope * np.sin(k * phase) * (k * hz < 7000) for k in range(1, harmonics + 1)), np.zeros(len(hz))
    )


def _modes(seconds: float, hz: float, ratios: tuple[float, ...], decay: float, random: Random) -> np.ndarray:
    """A struck body: modes at ``ratios`` of ``hz``, higher ones dying faster."""
    t = _time(seconds)
    tones = [
        random.uniform(0.5, 1) * np.sin(2 * np.pi * hz * ratio * t) * np.exp(-t * ratio**0.7 / decay)
        for ratio in ratios
        if hz * ratio < 7500
    ]
    return sum(tones, np.zeros(len(t)))


def _noise(seconds: float, hz: float, width: float, random: Random) -> np.ndarray:
    """Noise around ``hz``: a resonator with a bandwidth of ``width * hz``."""
    radius = np.exp(-np.pi * width * hz / SAMPLE_RATE)
    poles = [1, -2 * radius * np.cos(2 * np.pi * hz / SAMPLE_RATE), radius**2]
    y = lfilter([1 - radius], poles, random.standard_normal(round(seconds * SAMPLE_RATE)))
    return y / np.abs(y).max()


def _row(gap: float, count: int, jitter: float, one: Callable[[], np.ndarray], random: Random) -> np.ndarray:
    """``one()`` several times, ``gap`` seconds apart."""
    starts = [
        round(max(0.0, number * gap + random.normal(0, jitter * gap)) * SAMPLE_RATE)
        for number in range(count)
    ]
    parts = [one() * random.uniform(0.6, 1) for _ in starts]
    y = np.zeros(max(start + len(part) for start, part in zip(starts, parts, strict=True)))
    for start, part in zip(starts, parts, strict=True):
        y[start : start + len(part)] += part
    return y


def _bark(of: dict[str, float], random: Random) -> np.ndarray:
    t = _time(0.12 + 0.14 * of["length"])
    shape = np.exp(-(((t / t[-1] - 0.3) / 0.25) ** 2))
    y = (
        _glide((250 + 350 * of["pitch"]) * (0.7 + 0.5 * shape), 14, 0.6)
        + 0.6 * _noise(t[-1] + 1 / SAMPLE_RATE, 1200, 0.8, random)[: len(t)]
    )
    return _row(0.35, int(random.integers(1, 4)), 0.1, lambda: y * shape, random)


def _bell(of: dict[str, float], random: Random) -> np.ndarray:
    ratios = (0.5, 1, 1.19, 1.56, 2, 2.66, 3.01, 4.1)
    return _modes(1.6, 500 + 700 * of["pitch"], ratios, 0.3 + 0.5 * of["length"], random)


def _alarm(of: dict[str, float], random: Random) -> np.ndarray:
    ratios, hz = (1, 2, 3), 700 + 900 * of["pitch"]
    return _row(
        0.22 + 0.2 * of["length"],
        int(random.integers(2, 5)),
        0.0,
        lambda: _modes(0.3, hz, ratios, 0.15, random),
        random,
    )


def _glass(of: dict[str, float], random: Random) -> np.ndarray:
    def shard() -> np.ndarray:
        hz = (900 + 900 * of["pitch"]) * random.uniform(0.6, 2.2)
        return _modes(0.5, hz, (1, 1.47, 2.09, 2.56), 0.05 + 0.2 * of["length"], random)

    return _row(0.05, int(random.integers(5, 12)), 0.8, shard, random)


def _taps(
    of: dict[str, float],
    random: Random,
    hz: float,
    width: float,
    gap: float,
    jitter: float,
    count: tuple[int, int],
) -> np.ndarray:
    def tap() -> np.ndarray:
        t = _time(0.09)
        body = _noise(0.09, hz * random.uniform(0.9, 1.1), width, random)
        return body[: len(t)] * np.exp(-t / (0.008 + 0.02 * of["length"]))

    return _row(gap, int(random.integers(*count)), jitter, tap, random)


def _knock(of: dict[str, float], random: Random) -> np.ndarray:
    return _taps(of, random, 250 + 300 * of["pitch"], 0.5, 0.16 + 0.1 * of["rate"], 0.06, (3, 6))


def _footsteps(of: dict[str, float], random: Random) -> np.ndarray:
    return _taps(of, random, 200 + 400 * of["pitch"], 1.2, 0.38 + 0.2 * of["rate"], 0.05, (3, 6))


def _clicks(of: dict[str, float], random: Random) -> np.ndarray:
    return _taps(of, random, 900 + 1800 * of["pitch"], 0.8, 0.2 + 0.35 * of["rate"], 0.01, (3, 8))


def _siren(of: dict[str, float], random: Random) -> np.ndarray:
    t = _time(1.2 + 0.6 * random.random())
    sweep = np.sin(2 * np.pi * (0.6 + 1.6 * of["rate"]) * t + random.uniform(0, 2 * np.pi))
    return _glide((650 + 500 * of["pitch"]) * (1 + 0.35 * sweep), 4, 1.2) * np.minimum(
        1, np.minimum(t, t[-1] - t) / 0.05
    )


def _whistle(of: dict[str, float], random: Random) -> np.ndarray:
    t = _time(0.4 + 0.7 * of["length"])
    hz = (
        (900 + 900 * of["pitch"])
        * (1 + random.uniform(-0.25, 0.35) * t / t[-1])
        * (1 + 0.01 * np.sin(2 * np.pi * 6 * t))
    )
    y = _glide(hz, 2, 2.0) + 0.15 * _noise(len(t) / SAMPLE_RATE, float(hz.mean()), 0.3, random)[: len(t)]
    return y * np.minimum(1, np.minimum(t, t[-1] - t) / 0.04)


def _bird(of: dict[str, float], random: Random) -> np.ndarray:
    def chirp() -> np.ndarray:
        t = _time(0.07 + 0.12 * of["length"])
        hz = (1700 + 1800 * of["pitch"]) * (1 + random.uniform(-0.3, 0.5) * t / t[-1])
        return _glide(hz, 2, 1.5) * np.sin(np.pi * t / t[-1]) ** 2

    return _row(0.12 + 0.15 * of["rate"], int(random.integers(2, 7)), 0.15, chirp, random)


def _rain(of: dict[str, float], random: Random) -> np.ndarray:
    seconds = 1.0 + random.random()
    t = _time(seconds)
    drops = random.standard_normal(len(t)) * (random.random(len(t)) < 0.01 + 0.05 * of["rate"])
    y = lfilter([1], [1, -0.6 - 0.3 * of["pitch"]], drops) + 0.1 * random.standard_normal(len(t))
    return y * np.minimum(1, np.minimum(t, t[-1] - t) / 0.2)


def _engine(of: dict[str, float], random: Random) -> np.ndarray:
    t = _time(1.0 + random.random())
    hz = (35 + 60 * of["pitch"]) * (1 + 0.15 * np.sin(2 * np.pi * (0.3 + of["rate"]) * t))
    y = _glide(hz, 25, 0.5 + 0.5 * of["length"]) * (1 + 0.3 * random.standard_normal(len(t)))
    return y * np.minimum(1, np.minimum(t, t[-1] - t) / 0.15)


EVENTS: dict[str, Callable[[dict[str, float], Random], np.ndarray]] = {
    "alarm": _alarm,
    "bell": _bell,
    "bird": _bird,
    "clicks": _clicks,
    "dog_bark": _bark,
    "engine": _engine,
    "footsteps": _footsteps,
    "glass": _glass,
    "knock": _knock,
    "rain": _rain,
    "siren": _siren,
    "whistle": _whistle,
}


# ---------------------------------------------------------------- clips


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table; the corpus is made the first time, into ``folder``.

    Returns
    -------
    DataFrame sorted by ``clip_id``: path, seconds, event (the class), source (never in two folds), fold (1 to
    5), background (its kind),
        passages (tuple of (onset, offset) in seconds). A row of taps is one event, the silence between them
        included.

    Raises
    ------
    UserError : no such label.
    """
    if data.label and data.label not in LABELS:
        raise UserError(
            f'data.label = "{data.label}": must be one of {", ".join(LABELS)}{nearest(data.label, LABELS)}'
        )
    swept = data.model_dump(exclude=generated.READ_ONLY)
    key = hashlib.sha256(repr([VERSION, sorted(swept.items())]).encode()).hexdigest()[:12]
    rows = generated.rows(Path(folder).absolute() / f"scenes-{key}", partial(_make, data))
    table = pd.DataFrame(rows)
    spans = [tuple((float(start), float(end)) for start, end in row["passages"]) for row in rows]
    table["passages"] = pd.Series(spans, dtype=object)
    return table[["clip_id", "path", "seconds", "event", "source", "fold", "background", "passages"]]


def _make(data: Settings, folder: Path) -> Iterator[dict[str, Any]]:
    jobs = [
        (name, source, take)
        for name in sorted(EVENTS)
        for source in range(data.sources)
        for take in range(data.takes)
    ]
    # processes, spawned: TensorFlow's threads may be about
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_clip, data, folder), jobs, chunksize=16)


def _generator(data: Settings, *names: object) -> Random:
    seed = hashlib.sha256("/".join([str(data.corpus_seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(seed[:16], "big"))


def _clip(data: Settings, folder: Path, job: tuple[str, int, int]) -> dict[str, Any]:
    """Write one clip; its row of the index."""
    name, source, take = job
    habits = _generator(data, "source", name, source)
    of = {habit: float(habits.random()) for habit in ("pitch", "rate", "length")}
    random = _generator(data, "clip", name, source, take)
    own = {habit: float(np.clip(value + random.normal(0, 0.03), 0, 1)) for habit, value in of.items()}
    y, passages = scene(name, own, random)
    y = room.reverberate(y, data.reverberation_seconds, sample_rate=SAMPLE_RATE, generator=random)
    loud = np.concatenate(
        [y[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in passages]
    )
    kind, around = background(len(y), random)
    around += _distractors(len(y), random) * np.sqrt(np.mean(around**2)) * 4
    ratio_db = data.signal_to_noise_db + random.uniform(-5, 5)
    y += around * np.sqrt(np.mean(loud**2) / np.mean(around**2)) * 10 ** (-ratio_db / 20)
    y *= PEAK / np.abs(y).max()
    clip = f"{name}_{source:02d}_{take:02d}"
    audio.save(folder / f"{clip}.wav", y, sample_rate=SAMPLE_RATE)
    row: dict[str, Any] = {
        "clip_id": clip,
        "seconds": len(y) / SAMPLE_RATE,
        "event": name,
        "source": f"{name}_{source:02d}",
    }
    return row | {"fold": source % FOLDS + 1, "background": kind, "passages": passages, "samples": len(y)}


def scene(name: str, of: dict[str, float], random: Random) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """One to three events of a class that do not overlap: waveform (n_samples,) and their (onset, offset)
    in seconds.
    """
    y, passages, begin = np.zeros(round(SECONDS * SAMPLE_RATE)), [], 0
    for left in range(int(random.integers(1, 4)), 0, -1):
        event = EVENTS[name](of, random)[: round(LONGEST_EVENT_SECONDS * SAMPLE_RATE)]
        event = event / np.abs(event).max() * random.uniform(0.6, 1)
        fade = round(FADE_SECONDS * SAMPLE_RATE)
        event[-fade:] *= np.linspace(1, 0, fade)
        # what the events after this one may need stays free
        spare = (
            len(y)
            - begin
            - len(event)
            - (left - 1) * round((LONGEST_EVENT_SECONDS + PAUSE_SECONDS) * SAMPLE_RATE)
        )
        start = begin + int(random.integers(0, max(1, spare // left if left > 1 else spare)))
        y[start : start + len(event)] += event
        passages.append((round(start / SAMPLE_RATE, 6), round((start + len(event)) / SAMPLE_RATE, 6)))
        begin = start + len(event) + round(PAUSE_SECONDS * SAMPLE_RATE)
    return y, passages


def background(n_samples: int, random: Random) -> tuple[str, np.ndarray]:
    """Kind and waveform of what is heard all the time: wind, hum, voices or street."""
    kind = ("hum", "street", "voices", "wind")[int(random.integers(4))]
    noise = random.standard_normal(n_samples)
    t = np.arange(n_samples) / SAMPLE_RATE
    slow = 1 + 0.5 * np.sin(2 * np.pi * random.uniform(0.1, 0.5) * t + random.uniform(0, 2 * np.pi))
    if kind == "wind":
        return kind, lfilter([1], [1, -0.97], noise) * slow
    if kind == "hum":
        return kind, 3 * _glide(np.full(n_samples, random.choice([50.0, 60.0, 100.0])), 12, 1.0) + noise
    if kind == "street":
        return kind, lfilter([1], [1, -0.9], noise) * slow + 0.5 * noise
    return kind, room.background(n_samples, sample_rate=SAMPLE_RATE, generator=random)


def _distractors(n_samples: int, random: Random) -> np.ndarray:
    """Up to four short sounds of no class: thumps, hisses and blips."""
    y = np.zeros(n_samples)
    for _ in range(int(random.integers(0, 5))):
        hz, seconds = float(random.uniform(150, 5000)), float(random.uniform(0.03, 0.3))
        part = (
            _noise(seconds, hz, 0.6, random)
            if random.random() < 0.6
            else _modes(seconds, hz, (1, 2.3), 0.1, random)
        )
        start = int(random.integers(0, n_samples - len(part)))
        y[start : start + len(part)] += part * np.hanning(len(part))
    return y
