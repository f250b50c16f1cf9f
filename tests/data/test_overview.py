"""`audiomtl data`: everything about the clips, in 80 columns and without TensorFlow."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data import audio, overview, preflight
from tests.data.test_preflight import FOLDS, SPLIT, baseline, clips, ctc, phones, settings_of


def said(settings, table) -> list[str]:
    return overview.text("mine", settings, preflight.look(settings, table)).splitlines()


@pytest.mark.parametrize(
    ("settings", "table", "lines"),
    [
        (
            baseline(FOLDS),
            clips(),
            [
                "mine: 120 clips, 1.0 minutes (manifest x.csv)",
                "  length      0.50 to 0.50 s, median 0.50 s",
                "  classes     3 of label: class 0 40, class 1 40, class 2 40",
                "  groups      speaker: 8 values, 15 clips each",
                # seed 4 and study_seed 8 test on fold 0
                "                    seed 8,4    seed 1    seed 2    seed 3",
                "  clips             60/30/30  60/30/30  60/30/30  60/30/30",
                "  speaker values       4/2/2     4/2/2     4/2/2     4/2/2",
                "    speaker 0         0/0/15    15/0/0    15/0/0    0/15/0",
                "    class 2         20/10/10  20/10/10  20/10/10  20/10/10",
            ],
        ),
        (ctc(), clips(phones=phones(120, "a", "b")), ["  phones      240, 2 different, 2 per clip", "  split       leave_one_out by speaker; train/validation/test of each seed (seed"]),
        # as those of pictures: no column seconds
        (baseline(), clips().drop(columns="seconds"), ["mine: 120 clips (manifest x.csv)", "  length      not known"]),
        (baseline(), clips(seconds=np.nan), ["  length      not known"]),
        (baseline(), clips(label="one"), ['  FAULT       data.label = "label": every clip has the same class (one); at']),
        (
            settings_of("baseline_esc10", {"label": "label", "groups": []}, SPLIT),
            clips(label=[f"class with a long name {number % 60}" for number in range(120)]),
            ["    (12 more)"],
        ),
    ],
)  # fmt: skip
def test_what_is_said(settings, table, lines):
    text = said(settings, table)
    assert [line for line in lines if line not in text] == [], "\n".join(text)
    assert max(map(len, text)) <= 80


def test_what_was_left_out_is_said():
    table = clips()
    table.attrs["left_out"] = {"missing": 2, "unreadable": 1}
    assert "  left out    2 missing, 1 unreadable" in said(baseline(), table)


def test_rates_and_channels_are_those_of_the_files(tmp_path):
    paths = []
    for number, rate in enumerate((8000, 8000, 16000)):
        paths.append(str(tmp_path / f"{number}.wav"))
        audio.save(paths[-1], np.zeros(400, np.float32), sample_rate=rate)
    text = said(baseline(), clips(120, path=(paths * 40)))
    assert "  rate        8000 Hz (2 files), 16000 Hz (1 files)" in text and "  channels    1" in text


def test_the_data_are_described_without_tensorflow(tmp_path):
    folder = tmp_path / "experiments"
    folder.mkdir()
    (tmp_path / "own.py").write_text("raise RuntimeError('broken')\n")
    rows = []
    for number in range(24):
        y = np.random.default_rng(number).uniform(-0.1, 0.1, 4000)
        audio.save(tmp_path / f"{number}.wav", y, sample_rate=8000)
        rows.append({"path": f"{number}.wav", "label": "ab"[number % 2], "speaker": number // 4})
    pd.DataFrame(rows).to_csv(tmp_path / "x.csv", index=False)
    from audiomtl.settings.toml import as_toml

    raw = baseline().model_dump(mode="json", exclude_none=True)
    (folder / "mine.toml").write_text(as_toml(raw, raw["study_seed"]), encoding="utf-8")
    (folder / "broken.toml").write_text('model = "own"\n', encoding="utf-8")
    (folder / "wrong.toml").write_text('model = "own.family"\n', encoding="utf-8")
    code = (
        "import sys; from audiomtl import cli; sys.argv = ['audiomtl', 'data']\n"
        "try: cli.main()\nexcept SystemExit as end: print(end.code)\n"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'optuna'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    *text, status, heavy = done.stdout.splitlines()
    assert (status, heavy) == ("1", "[]") and any(line.startswith("mine: 24 clips") for line in text)
    # the broken ones are named, and block nothing
    faults = done.stderr.splitlines()
    assert len(faults) == 2 and "experiments/broken.toml: " in faults[0], done.stderr
    assert "audiomtl: wrong: RuntimeError: broken (" in faults[1]


def test_what_is_odd_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    audio.save(tmp_path / "silent.wav", np.zeros(8000, np.float32), sample_rate=8000)
    text = said(baseline(), clips(120, path=str(tmp_path / "silent.wav")))
    assert any(
        line.startswith("  odd         silence: 120 clips: clip_000 (digital silence") for line in text
    )
    one = np.stack([np.sin(np.arange(8000)) / 4, np.zeros(8000)], axis=1)
    soundfile.write(tmp_path / "one_side.wav", one, 8000)
    text = said(baseline(), clips(120, path=str(tmp_path / "one_side.wav")))
    assert any(
        line.startswith("  odd         silent_channel: 120 clips: clip_000 (channel 2 of") for line in text
    )
