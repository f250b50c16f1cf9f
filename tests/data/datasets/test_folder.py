"""A folder of recordings: classes by folder, annotations beside the recordings, metadata.csv."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl.data import audio, catalog
from audiomtl.data.datasets import folder, timit
from tests.data.datasets.published import real


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "mine"


def sounds(root: Path, *names: str, seconds: float = 1.0) -> None:
    """Recordings that differ, at 8 kHz."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        y = 0.1 * np.random.default_rng([number, len(name)]).standard_normal(round(8000 * seconds))
        audio.save(path, y.clip(-1, 1), sample_rate=8000)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def read(root: Path | str, **changes: Any) -> Any:
    values = {"dataset": "folder", "folder": str(root), "groups": [], "on_bad": "error"}
    return catalog.clips(folder.Settings(**{**values, **changes}))


def test_folders_are_classes_where_nothing_is_annotated(mine):
    sounds(mine, "cat/a.wav", "cat/b.wav", "dog/a.wav")
    table = read(mine, label="label")
    assert table["clip_id"].tolist() == ["cat/a", "cat/b", "dog/a"]
    assert table["label"].tolist() == ["cat", "cat", "dog"] and table["seconds"].tolist() == [1.0] * 3


def test_timit_is_read_as_its_own_reader_does(monkeypatch, tmp_path):
    root = real("timit") / "timit"
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    sa = ["*/sa1", "*/sa2"]
    found = read(root, symbols="timit39", leave_out=sa, groups=["speaker", "sentence"])
    known = timit.clips(timit.Settings(dataset="timit", groups=[], sa_sentences="drop"), root.parent)
    found, known = (one.sort_values("path", ignore_index=True) for one in (found, known))
    assert len(found) == 96 and found["speaker"].nunique() == 12
    for column in ("path", "seconds", "text", "phones", "starts", "words", "word_starts", "word_ends"):
        assert found[column].tolist() == known[column].tolist(), column
    # the last silence ends with the sound in the one, with its label in the other
    assert [ends[:-1] for ends in found["ends"]] == [ends[:-1] for ends in known["ends"]]
