"""Copies of one recording, and what is none."""

import numpy as np
import pytest

from audiomtl.data.audit import duplicates, fingerprints
from audiomtl.data.audit.fingerprints import RATE


def noise(seed: int, seconds: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1


def drums(pattern: str, seed: int = 0) -> np.ndarray:
    """A loop of one drum machine at 120 bpm: x is a hit of noise that decays; every loop has the same hits."""
    hit = noise(1, 0.25) * np.exp(-np.arange(RATE // 4) / 400)
    y = np.zeros(len(pattern) * RATE // 4, np.float32)
    for number, letter in enumerate(pattern):
        if letter == "x":
            y[number * RATE // 4 :][: RATE // 4] += hit
    return y + 0.0001 * noise(seed, len(y) / RATE)


def spoken(seed: int) -> np.ndarray:
    """A harmonic sound with the same melody every time, but not to the millisecond and the hertz."""
    random = np.random.default_rng(seed)
    points = np.array([150, 180, 140, 200, 170, 130]) * random.uniform(0.97, 1.03, 6)
    places = np.linspace(0, 3, 6) + random.uniform(-0.1, 0.1, 6)
    pitch = np.interp(np.arange(3 * RATE) / RATE, np.sort(places), points)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(np.sin(k * phase) * random.uniform(0.5, 1) / k for k in range(1, 12)).astype(np.float32) * 0.1


def found(*waveforms: np.ndarray) -> list[tuple[int, int]]:
    return [
        (copy.first, copy.second)
        for copy in duplicates.copies([fingerprints.of_waveform(y) for y in waveforms])
    ]


@pytest.mark.parametrize(
    ("second", "same"),
    [
        (noise(1), True),
        (noise(1)[RATE // 3 :], True),
        (noise(1)[: RATE + RATE // 2], True),  # half of it
        (np.concatenate([noise(3, 1.0), noise(1), noise(4, 5.0)]), True),  # a part of a longer one
        (noise(1) + 0.1 * noise(2), True),  # -20 dB
        (noise(1)[: RATE // 2], False),  # half a second of three is too little
        (noise(2), False),
        (noise(1)[::-1].copy(), False),
        (np.concatenate([noise(1)[: RATE * 9 // 10], noise(2)]), False),  # less than a second in common
    ],
)
def test_copies_of_noise(second, same):
    assert found(noise(1), second) == ([(0, 1)] if same else [])


@pytest.mark.parametrize(
    "waveforms",
    [
        (np.zeros(3 * RATE, np.float32), np.zeros(3 * RATE, np.float32)),  # silence is no recording
        (drums("x.x.x.xxx.x."), drums("x..xx..x.xx.", 1), drums("xx..x.x.xx.x", 2)),
        (spoken(1), spoken(2), spoken(3)),
        (noise(1, 0.05), noise(2, 0.05)),
        (noise(1, 0.0), noise(2)),
    ],
    ids=["silence", "drum loops", "one sentence", "very short", "empty"],
)
def test_what_is_no_copy(waveforms):
    assert found(*waveforms) == []


def test_short_copies_are_found_and_clusters_join_them():
    copies = found(noise(1, 0.4), noise(2, 0.4), 0.5 * noise(1, 0.4), -noise(1, 0.4))
    assert copies == [(0, 2), (0, 3), (2, 3)]
    assert duplicates.clusters(copies, 4).tolist() == [0, 1, 0, 0]
    assert duplicates.clusters([], 2).tolist() == [0, 1]
    assert duplicates.copies([]) == []


def test_offset_and_share_say_where():
    [copy] = duplicates.copies([fingerprints.of_waveform(y) for y in (noise(1), noise(1)[RATE:])])
    assert copy.offset_seconds == pytest.approx(1.0, abs=0.05) and copy.share > 0.95
    assert copy.seconds == pytest.approx(1.75, abs=0.1) and copy.error < 0.1
