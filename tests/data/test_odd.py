"""`audiomtl.data.odd`: each oddity by its number, and none where there is none."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl import config
from audiomtl.data import audio, files, odd
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet

RATE = 16000
TIMES = np.arange(RATE) / RATE
SINE = 0.5 * np.sin(2 * np.pi * 440 * TIMES)
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)

WAVEFORMS: list[tuple[str, np.ndarray, list[str], str]] = [  # name, waveform, kinds, words of the first
    ("sine", SINE, [], ""),
    ("noise", NOISE, [], ""),
    ("stereo", np.stack([SINE, NOISE], axis=1), [], ""),
    ("one side is nearly silent", np.stack([SINE, 1e-3 * SINE], axis=1), [], ""),
    ("full scale once", SINE / np.abs(SINE).max(), [], ""),
    ("zeros", np.zeros(RATE), ["silence"], "digital silence"),
    ("one step", np.full(RATE, 1 / 32768), ["silence"], "digital silence"),
    ("constant", np.full(RATE, 0.25), ["constant"], "every sample is 0.25"),
    ("offset", 0.3 + 0.001 * SINE, ["offset"], "offset of 0.3; the rest is 59 dB below it"),
    ("antiphase", np.stack([SINE, -SINE], axis=1), ["antiphase"], "which is read, is digital silence"),
    ("nearly", np.stack([SINE, -0.98 * SINE], axis=1), ["antiphase"], "which is read, is 40 dB below them"),
    ("one side is silent", np.stack([SINE, 0 * SINE], axis=1), ["silent_channel"], "channel 2 of 2 is digital silence"),
    ("three are silent", np.stack([0 * SINE, SINE, *2 * [0 * SINE]], axis=1), ["silent_channel"], "channels 1 and 3 and 4 of 4 are"),
    ("clipped", np.clip(4 * SINE, -1, 1), ["clipping"], "clipped: 66.50% of its samples"),
    ("quiet", 0.001 * SINE, ["quiet"], "the loudest sample is at -66 dB"),
    ("a click", np.concatenate([NOISE[:800], np.zeros(RATE)]), ["mostly_silence"], "94% of it is below"),
    ("short", SINE[:16], ["short"], "lasts 0.001 s, less than 0.05 s"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y", "kinds", "words"), WAVEFORMS, ids=[row[0] for row in WAVEFORMS])
def test_each_oddity_is_named_with_its_number(
    tmp_path: Path, name: str, y: np.ndarray, kinds: list[str], words: str
) -> None:
    found = odd.of_waveform(y, RATE)
    assert [finding.kind for finding in found] == kinds and set(kinds) <= odd.KINDS.keys()
    assert words in "".join(finding.text for finding in found[:1])
    soundfile.write(tmp_path / "a.wav", y, RATE, subtype="DOUBLE")
    assert [finding.kind for finding in odd.of_file(str(tmp_path / "a.wav"))] == kinds


def test_a_channel_that_is_silent_for_a_while_only_is_not_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(odd, "PIECE_SECONDS", 1)  # decoded piece by piece
    late = np.concatenate([np.zeros(2 * RATE), SINE])
    soundfile.write(tmp_path / "a.wav", np.stack([np.tile(SINE, 3), late], axis=1), RATE)
    assert odd.of_file(str(tmp_path / "a.wav")) == ()
    soundfile.write(tmp_path / "b.wav", np.stack([0 * late, np.tile(SINE, 3)], axis=1), RATE)
    (finding,) = odd.of_file(str(tmp_path / "b.wav"))
    assert finding.kind == "silent_channel" and finding.text.startswith(
        "channel 1 of 2 is digital silence: the"
    )


def test_a_clip_under_one_window_is_named() -> None:
    assert odd.of_waveform(SINE, RATE, window_seconds=1.0) == ()
    (finding,) = odd.of_waveform(SINE[:-1], RATE, window_seconds=1.0)
    assert finding == ("short", "lasts 0.999938 s, less than one window of 1 s")


def test_a_table_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() + 7200 * 10**9)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    rows = []
    for name, y in (("silent", np.zeros(RATE)), ("sine", SINE), ("text", None)):
        path = tmp_path / f"{name}.wav"
        if y is None:
            path.write_text("no sound")
        else:
            audio.save(path, y, sample_rate=RATE)
        rows.append({"clip_id": name, "path": str(path)})
    table = pd.DataFrame([*rows, {"clip_id": "gone", "path": str(tmp_path / "gone.wav")}])
    table.attrs["index"] = "test"
    first = odd.findings(table, window_seconds=2.0)
    assert [(clip, finding.kind) for clip, finding in first] == [
        ("silent", "silence"),
        ("silent", "short"),
        ("sine", "short"),
        ("text", "unreadable"),
        ("gone", "unreadable"),
    ]
    monkeypatch.setattr(audio, "opened", lambda path: pytest.fail("decoded again"))
    files._read_here.clear()  # a new process
    files._indexes.clear()
    assert odd.findings(table, window_seconds=2.0) == first
    assert odd.findings(table.drop(columns="path")) == []


@pytest.fixture
def four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Four clips, of which b is silent and d is clipped and very short."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    waveforms = {"a": SINE, "b": 0 * SINE, "c": NOISE, "d": np.clip(9 * SINE[:500], -1, 1)}
    for name, y in waveforms.items():
        audio.save(tmp_path / f"{name}.wav", y, sample_rate=RATE)
    table = pd.DataFrame([{"clip_id": name, "path": str(tmp_path / f"{name}.wav")} for name in waveforms])
    table.attrs |= {"index": "four", "left_out": {"missing": 1}}
    return table


def test_the_default_decodes_nothing(four: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "opened", lambda path: pytest.fail("decoded"))
    assert odd.applied(four, "ignore") is four
    assert DataSet(dataset="x", groups=[]).on_odd == "ignore"


def test_odd_clips_are_printed_left_out_or_refused(
    four: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    assert odd.applied(four, "warn") is four
    said = capsys.readouterr().out
    assert said.startswith("2 of 4 clips are odd: b: digital silence") and said.count("\n") == 1
    assert "; d: clipped: 85.40% of its samples" in said and "d: lasts 0.03125 s" in said
    kept = odd.applied(four, "skip")
    assert capsys.readouterr().out == f"left out: {said}"
    assert kept["clip_id"].tolist() == ["a", "c"] and kept.index.tolist() == [0, 1]
    assert kept.attrs == {"index": "four", "left_out": {"missing": 1, "silence": 1, "clipping": 1}}
    with pytest.raises(UserError, match=r'data.on_odd = "error": 2 of 4 clips are odd: b: .*; replace them'):
        odd.applied(four, "error")
    with pytest.raises(UserError, match="1 of 1 clips are odd"):
        odd.applied(four[1:2], "skip")
    assert odd.applied(four[:1], "error") is not None


@pytest.mark.parametrize(
    ("experiment", "seconds"),
    [("mil_esc10", 0.5), ("transfer_esc10", 0.975), ("ctc_emodb", 0.032), ("baseline_esc10", 1024 / 22050)],
)
def test_the_window_of_a_family(experiment: str, seconds: float) -> None:
    assert odd.window_seconds(config.load_experiment(experiment).settings) == pytest.approx(seconds)
