"""The stranger's path, timed: a folder in hand, a baseline with its interval, a prediction of a new file.

For each family the script makes recordings as a stranger would have them, a folder or a table, and runs the
real command step by step: ``new``, ``data``, ``best --record``, ``predict``. No file is edited by hand. Each
step is printed with its time; the aim is 15 minutes on 2 cores in all.

    python benchmarks/stranger.py [FAMILY ...]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

AIM_SECONDS = 15 * 60.0
RATE = 16000  # Hz
SPEAKERS, TAKES = 5, 6
LETTERS = "abcde"
LETTER_SECONDS = 0.15
CODE = Path(__file__).parents[1]


def tones(
    path: Path, pitches: list[float], seconds: float, speaker: int, random: np.random.Generator
) -> None:
    """One tone after the other, a little higher or lower for each speaker, with two overtones and noise."""
    samples = round(seconds * RATE)
    times = np.arange(samples) / RATE
    parts = []
    for pitch in pitches:
        phase = 2 * np.pi * pitch * (1 + 0.03 * speaker) * times
        parts.append(sum(np.sin(order * phase) / order for order in (1, 2, 3)) * np.hanning(samples))
    y = 0.2 * np.concatenate(parts) + 0.02 * random.standard_normal(samples * len(pitches))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y.clip(-1, 1).astype(np.float32), RATE)


def classes(folder: Path, random: np.random.Generator) -> tuple[str, Path]:
    """A folder of folders: rising, falling and level tones of five speakers."""
    ways = {"falling": [600.0, 450.0, 300.0], "level": [450.0] * 3, "rising": [450.0, 600.0, 800.0]}
    for way, pitches in ways.items():
        for speaker in range(SPEAKERS):
            for take in range(TAKES):
                path = folder / "calls" / way / f"bird {speaker}" / f"{take}.wav"
                tones(path, pitches, 0.8, speaker, random)
    tones(folder / "new.wav", ways["rising"], 0.8, SPEAKERS, random)
    return "calls", folder / "new.wav"


def transcripts(folder: Path, random: np.random.Generator) -> tuple[str, Path]:
    """A folder of speakers, with a transcript in a text file beside each recording."""
    for speaker in range(SPEAKERS):
        for take in range(3 * TAKES):
            letters = random.choice(list(LETTERS), 6)
            path = folder / "reading" / f"speaker {speaker}" / f"{take}.wav"
            tones(path, [spoken(letter) for letter in letters], LETTER_SECONDS, speaker, random)
            path.with_suffix(".txt").write_text("".join(letters) + "\n")
    tones(folder / "new.wav", [spoken(letter) for letter in "badce"], LETTER_SECONDS, SPEAKERS, random)
    return "reading", folder / "new.wav"


def table(folder: Path, random: np.random.Generator) -> tuple[str, Path]:
    """A table with a class, timed phones and a text: what several tasks, and several inputs, learn from."""
    rows = []
    for speaker in range(SPEAKERS):
        for take in range(2 * TAKES):
            letters = list(random.choice(list(LETTERS), 5))
            path = folder / "songs" / f"{speaker}_{take}.wav"
            tones(path, [spoken(letter) for letter in letters], LETTER_SECONDS, speaker, random)
            starts = [LETTER_SECONDS * number for number in range(len(letters))]
            asked = str(random.choice(list(LETTERS)))
            rows.append(
                {
                    "path": path.name,
                    "answer": "yes" if asked in letters else "no",
                    "speaker": f"singer {speaker}",
                    "text": f"is there {asked}",
                    "phones": letters,
                    "starts": starts,
                    "ends": [start + LETTER_SECONDS for start in starts],
                }
            )
    pd.DataFrame(rows).to_parquet(folder / "songs" / "songs.parquet")
    tones(folder / "new.wav", [spoken(letter) for letter in "abcde"], LETTER_SECONDS, SPEAKERS, random)
    return "songs/songs.parquet", folder / "new.wav"


def spoken(letter: str) -> float:
    """Pitch of a letter in Hz, a major third apart from the next."""
    return float(250 * 1.26 ** LETTERS.index(letter))


MADE: dict[str, Callable[[Path, np.random.Generator], tuple[str, Path]]] = {
    "baseline": classes,
    "mil": classes,
    "transfer": classes,
    "ctc": transcripts,
    "multitask": table,
    "fusion": table,
}
MORE = {"multitask": ["--label", "answer"], "fusion": ["--label", "answer"]}


def command(folder: Path, *words: str) -> tuple[int, str, float]:
    """Exit code, output and seconds of the real command in a project of the stranger's."""
    began = time.monotonic()
    own = {"AUDIOMTL_RUNS": str(folder / "runs"), "AUDIOMTL_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "audiomtl", *words],
        cwd=folder,
        env={**os.environ, **own, "PYTHONPATH": str(CODE), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, time.monotonic() - began


def path_of(family: str) -> bool:
    """Walk the whole path with one family; whether every step went well, in time."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        where, recording = MADE[family](folder, np.random.default_rng(1))
        print(f"== {family}: {where}", flush=True)
        steps: list[tuple[str, ...]] = [
            ("new", "mine", "--data", where, "--model", family, *MORE.get(family, [])),
            ("data", "mine"),
            ("best", "mine", "--record"),
            ("predict", "mine", str(recording)),
        ]
        total = 0.0
        for words in steps:
            code, said, seconds = command(folder, *words)
            total += seconds
            print(f"{seconds:7.1f} s  audiomtl {' '.join(words)}", flush=True)
            shown = [line for line in said.splitlines() if re.search(shown_of(words[0]), line)]
            print("".join(f"           {line.strip()}\n" for line in shown), end="", flush=True)
            if code:
                print(f"           failed with code {code}: {said.strip().splitlines()[-1]}")
                return False
        print(f"{total:7.1f} s  in all; the aim is {AIM_SECONDS:.0f} s", flush=True)
        return total <= AIM_SECONDS


def shown_of(step: str) -> str:
    """What of a step's output is printed: split, totals, scores with their intervals, the answer."""
    return {
        "new": r"^- (model|split)|written$",
        "data": r"^mine: |warning",
        "best": r"test/.*\d\.\d{4} to \d",
        "predict": r"new",
    }[step]


def main() -> int:
    """Every family, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=["baseline"], choices=list(MADE))
    well = [path_of(family) for family in parser.parse_args().families]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
