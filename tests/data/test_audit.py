"""Faults planted in a small corpus of noises, each found by an audit; the clean corpus raises none.

The corpus: 32 clips of 1.3 s, two classes (a band of noise at 700 Hz or at 2 kHz), eight speakers, split by
speaker.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
import soxr

from audiomtl.data.audit import Audit, audit, counts, subject
from audiomtl.data.audit.duplicates import Copy

RATE = 16000  # Hz
SIDES = ["train"] * 5 + ["validation"] + ["test"] * 2  # of the eight speakers
Clips = list[dict]  # y, rate, suffix, label, speaker, split


def noise(seed: int, seconds: float, low: float = 200, high: float = 3500) -> np.ndarray:
    """Bursts of noise in a band, over weak noise in all bands."""
    random = np.random.default_rng(seed)
    n = round(seconds * RATE)
    band = scipy.signal.butter(2, [low, high], "bandpass", fs=RATE, output="sos")
    steps = random.uniform(0.2, 1.0, int(seconds / 0.1) + 2)
    envelope = np.interp(np.arange(n) / RATE, np.arange(len(steps)) * 0.1, steps)
    y = envelope * scipy.signal.sosfilt(band, random.standard_normal(n))
    y = y / np.abs(y).max() + 0.003 * random.standard_normal(n)
    return (10 ** (random.uniform(-12, -6) / 20) * y).astype(np.float32)


def clean() -> Clips:
    random = np.random.default_rng(7)
    return [
        {
            "y": noise(
                100 * speaker + 10 * kind + take, random.uniform(1.2, 1.4), *((500, 1000), (1500, 2600))[kind]
            ),
            "rate": RATE,
            "suffix": "wav",
            "label": ("low", "high")[kind],
            "speaker": f"s{speaker}",
            "split": SIDES[speaker],
        }
        for speaker in range(8)
        for kind in range(2)
        for take in range(2)
    ]


BASE = clean()


def written(folder: Path, clips: Clips) -> Path:
    for number, clip in enumerate(clips):
        y = clip["y"] if clip.get("raw") else np.clip(clip["y"], -1, 1)
        soundfile.write(folder / f"{number:02}.{clip['suffix']}", y, clip["rate"])
    rows = [
        {"path": f"{number:02}.{clip['suffix']}"} | {key: clip[key] for key in ("label", "speaker", "split")}
        for number, clip in enumerate(clips)
    ]
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


@pytest.fixture
def audited(tmp_path, monkeypatch) -> Callable[..., Audit]:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))

    def of(clips: Clips, *, learned: bool = True) -> Audit:
        table = written(tmp_path, clips)
        if not learned:  # nothing is fitted: faster
            pd.read_csv(table).drop(columns="label").to_csv(table, index=False)
        return audit(subject.of_place(table), repetitions=1)

    return of


def copied(change: Callable[[np.ndarray], np.ndarray], source: int = 1, **more) -> Callable[[Clips], Clips]:
    """The corpus with a changed copy of a clip of train among the clips of test."""
    return lambda clips: [
        *clips[:-1],
        clips[-1]
        | {"y": change(clips[source]["y"]).astype(np.float32), "label": clips[source]["label"]}
        | more,
    ]


def each(change: Callable[[dict, np.random.Generator], dict]) -> Callable[[Clips], Clips]:
    """The corpus with every clip changed."""
    random = np.random.default_rng(0)
    return lambda clips: [clip | change(clip, random) for clip in clips]


def of_high(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Clips], Clips]:
    """The corpus with the clips of one class changed."""
    return each(
        lambda clip, _: {"y": change(clip["y"]).astype(np.float32)} if clip["label"] == "high" else {}
    )


def low_passed(y: np.ndarray) -> np.ndarray:
    return scipy.signal.sosfiltfilt(scipy.signal.butter(12, 4500, fs=RATE, output="sos"), y)


COPIES = "pair of copies on two sides: "
PLANTED: dict[str, tuple[Callable[[Clips], Clips], bool, str]] = {
    # name: (what is planted, whether it is serious, what the finding says)
    "same bytes": (copied(lambda y: y), True, COPIES),
    "another level": (copied(lambda y: 0.1 * y), True, COPIES),
    "MP3": (copied(lambda y: 0.5 * y, suffix="mp3"), True, COPIES),
    "OGG": (copied(lambda y: 0.5 * y, suffix="ogg"), True, COPIES),
    "offset": (copied(lambda y: np.concatenate([noise(9, 0.31), y])), True, COPIES),
    "trimmed": (copied(lambda y: y[3333:-2222]), True, COPIES),
    "1 % faster": (copied(lambda y: soxr.resample(y, 100, 99)), True, COPIES),
    "silence appended": (copied(lambda y: np.pad(y, (0, RATE))), True, COPIES),
    "stereo": (copied(lambda y: np.stack([y, 0.5 * y], axis=1)), True, COPIES),
    "upside down": (copied(lambda y: -y), True, COPIES),
    "another rate": (copied(lambda y: soxr.resample(y, 2, 1), rate=RATE // 2), True, COPIES),
    "a speaker on two sides": (
        lambda clips: [*clips[:-1], clips[-1] | {"speaker": "s0"}], True, "value of speaker on two sides",
    ),
    "two labels": (copied(lambda y: 0.5 * y, label="low", source=2), False, "copies with different label"),
    "length": (of_high(lambda y: y[: RATE // 10 * 11]), False, "label follows from length"),
    "level": (of_high(lambda y: 0.1 * y), False, "label follows from level"),
    "bandwidth": (of_high(low_passed), False, "label follows from bandwidth"),
    "silence": (of_high(lambda y: np.pad(y[4000:], (4000, 0))), False, "label follows from silence"),
    "DC of one class": (of_high(lambda y: 0.8 * y + 0.05), False, "label follows from offset"),
    "file format": (
        each(lambda clip, _: {"suffix": "flac"} if clip["label"] == "high" else {}), False, "label follows from file format",
    ),
    "one speaker per class": (
        each(lambda clip, _: {"speaker": clip["label"], "split": {"low": "train", "high": "test"}[clip["label"]]}), False, "every class has clips of one speaker only",
    ),
    "a class of one speaker": (
        lambda clips: [clip | ({"label": "own"} if clip["speaker"] == "s1" else {}) for clip in clips],
        False, "1 class with clips of one speaker only: own (s1)",
    ),
    "clipping": (lambda clips: [clips[0] | {"y": np.clip(20 * clips[0]["y"], -1, 1)}, *clips[1:]], False, "clipping: 1 clip: 00"),
    "DC": (lambda clips: [clips[0] | {"y": 0.5 * clips[0]["y"] + 0.2}, *clips[1:]], False, "offset: 1 clip: 00"),
    "mixed rates": (
        lambda clips: [clips[0] | {"y": soxr.resample(clips[0]["y"], 1, 2), "rate": 2 * RATE}, *clips[1:]],
        False, "mixed sample rates: 16000 Hz (31 files), 32000 Hz (1 file)",
    ),
    "silent clip": (lambda clips: [clips[0] | {"y": 0 * clips[0]["y"]}, *clips[1:]], False, "silence: 1 clip: 00"),
    "a side without a class": (
        lambda clips: [clip for clip in clips if (clip["split"], clip["label"]) != ("validation", "high")],
        False, "validation (column split) has no clip of label high",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plant", "serious", "words"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(audited, plant, serious, words):
    seen = audited(plant(BASE), learned=words != COPIES)
    told, other = (seen.serious, seen.warnings) if serious else (seen.warnings, seen.serious)
    assert [line for line in told if words in line], (words, seen.text)
    assert not (other and not serious and words != "copies with different label"), seen.text
    assert words.partition(":")[0] in " ".join(seen.text.split())


def test_a_clean_corpus_raises_nothing(audited):
    seen = audited(BASE)
    assert (seen.serious, seen.warnings, seen.copies) == ((), (), ()), seen.text
    assert "no serious findings, no warnings" in seen.text
    assert not [probe.name for probe in seen.probes if probe.shortcut]


@pytest.mark.parametrize(
    ("groups", "sides", "serious", "warned"),
    [
        (["a", "b"], ["train", "test"], "on two sides", ""),
        (["a", "b"], ["train", "train"], "", "in different speaker"),
        (["a", "a"], ["train", "train"], "", "in one group"),
        (["a", "b"], ["train", ""], "", "in different speaker"),  # a dropped clip is on no side
    ],
)
def test_where_copies_lie_decides(groups, sides, serious, warned):
    table = pd.DataFrame({"clip_id": ["x", "y"], "speaker": groups})
    given = subject.Subject("t", table, groups=("speaker",), divisions=(("seed 1", np.array(sides, object)),))
    found, warnings = counts.leaks(given, [Copy(0, 1, 2.0, 1.0, 0.0, 0.0)])
    assert (serious in "".join(found), bool(found)) == (True, bool(serious))
    assert (warned in "".join(warnings), bool(warnings)) == (True, bool(warned))


def test_without_groups_copies_are_the_groups_and_the_bill_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    clips = BASE[:12] + [clip | {"y": 0.5 * clip["y"]} for clip in BASE[:12]]
    table = written(tmp_path, clips)
    pd.read_csv(table)[["path", "label"]].to_csv(table, index=False)
    seen = audit(subject.of_place(table), repetitions=1)
    assert seen.serious == () and [one.name for one in seen.bill.prices] == ["random split", "unseen copies"]
    assert "12 pairs of copies" in seen.text and "a random split may put them on two sides" in " ".join(
        seen.text.split()
    )
