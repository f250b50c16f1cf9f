"""A folder of recordings: classes by folder, annotations beside the recordings, metadata.csv."""

import unicodedata
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


def test_deeper_folders_are_groups_and_shared_ones_mean_nothing(mine):
    sounds(mine, "all/cat/tom/a.wav", "all/cat/kit/b.wav", "all/dog/rex/a.wav")
    table = read(mine, label="label", groups=["group"])
    assert table["label"].tolist() == ["cat", "cat", "dog"]
    assert table["group"].tolist() == ["kit", "tom", "rex"]
    assert table.attrs["remarks"] == (
        "folders are the classes (column label): cat, dog",
        "the innermost folder is the column group",
    )


def test_folders_of_sides_are_the_column_split(mine):
    sounds(mine, "Train/cat/a.wav", "valid/cat/b.wav", "test/dog/c.wav")
    table = read(mine, label="label")
    assert dict(zip(table["clip_id"], table["split"], strict=True)) == {
        "Train/cat/a": "train",
        "test/dog/c": "test",
        "valid/cat/b": "validation",
    }
    assert sorted(table["label"]) == ["cat", "cat", "dog"]


def test_annotations_beat_folders_and_the_innermost_folder_is_the_speaker(mine):
    sounds(mine, "anna/one/a.wav", "ben/two/b.wav")
    write(mine, {"anna/one/a.PHN": "0 4000 h\n4000 8000 a\n", "ben/two/b.phn": "0 8000 h\n"})
    table = read(mine, groups=["speaker"])
    assert table["speaker"].tolist() == ["one", "two"] and "label" not in table
    assert table["phones"].tolist() == [["h", "a"], ["h"]] and table["starts"].tolist() == [[0.0, 0.5], [0.0]]


def test_speakers_of_one_name_in_two_folders_are_two(mine):
    sounds(mine, "one/s/a.wav", "two/s/b.wav")
    write(mine, {"one/s/a.txt": "hi", "two/s/b.txt": "ho"})
    assert read(mine)["speaker"].tolist() == ["one/s", "two/s"]


def test_of_two_annotations_the_more_believed_is_read(mine):
    sounds(mine, "a.wav", "b.wav")
    write(mine, {"a.phn": "0 8000 p\n", "a.lab": "0 8000 l\n", "b.lab": "0 8000 l\n", "a.wrd": "0 8000 w\n"})
    write(mine, {"a.txt": "The Text!", "b.txt": "the text"})
    table = read(mine, groups=["sentence"])
    assert table["phones"].tolist() == [["p"], ["l"]]
    assert table["words"].tolist() == [["w"], None] and table["text"].tolist() == ["The Text!", "the text"]
    assert table["sentence"].tolist() == ["the text"] * 2
    assert "*.lab has the phones of 1 of 2 recordings; times are in samples" in table.attrs["remarks"]
    only = read(mine, annotations=["*.lab", "*.txt"])
    assert only["phones"].tolist() == [["l"], ["l"]] and "words" not in only


def test_annotations_in_other_folders_and_with_suffixes(mine):
    sounds(mine, "wav/one.wav", "wav/one_more.wav")
    write(mine, {"notes/one_A1.csv": "0.1,0.2,60\n", "notes/one_A2.csv": "0.1,0.3,61\n"})
    write(mine, {"notes/one_more_A1.csv": "0.2,0.4,62\n", "lyrics/one.txt": "la", "notes/one.json": "{}"})
    table = read(mine)
    assert table["notes"].tolist() == [[(0.1, 0.2, 60)], [(0.2, 0.4, 62)]]
    assert table["text"].tolist() == ["la", None] and "label" not in table and "speaker" not in table
    assert any("*_A2.csv is not read: other files say the same" in one for one in table.attrs["remarks"])
    assert "not read: .json files, whose format is not known" in table.attrs["remarks"]
    assert read(mine, annotations=["notes/*_A2.csv"])["notes"].tolist() == [[(0.1, 0.3, 61)], None]


def test_events_of_one_class_are_passages_of_the_clip_s_class(mine):
    sounds(mine, "a.wav", "b.wav")
    write(mine, {"a.txt": "0.1\t0.2\tcat\n0.3\t0.4\tcat\n", "b.txt": "0.1\t0.2\tdog\n"})
    table = read(mine, label="label")
    assert table["label"].tolist() == ["cat", "dog"]
    assert table["passages"].tolist() == [[(0.1, 0.2), (0.3, 0.4)], [(0.1, 0.2)]]
    write(mine, {"b.txt": "0.1\t0.2\tdog\n0.1\t0.4\tcat\n"})
    table = read(mine)
    assert [list(labels) for labels in table["labels"]] == [["cat"], ["cat", "dog"]] and "label" not in table


def test_metadata_as_on_hugging_face(mine):
    sounds(mine, "train/a.wav", "test/b.wav", "test/c.wav")
    write(mine, {"metadata.csv": "file_name,transcription,speaker\ntrain/a.wav,Hi!,1\ntest/b.wav,hi,2\n"})
    table = read(mine, groups=["speaker", "sentence"])
    assert table["clip_id"].tolist() == ["test/b", "train/a"] and table["text"].tolist() == ["hi", "Hi!"]
    assert table["sentence"].tolist() == ["hi", "hi"] and table["speaker"].tolist() == ["2", "1"]
    (mine / "metadata.csv").unlink()
    write(
        mine,
        {
            f"{side}/metadata.csv": f"file_name,label\n{name}.wav,x\n"
            for side, name in (("train", "a"), ("test", "b"))
        },
    )
    table = read(mine)
    assert table["clip_id"].tolist() == ["test/b", "train/a"] and table["split"].tolist() == ["test", "train"]


def test_names_match_in_every_unicode_form_and_case(mine):
    sounds(mine, unicodedata.normalize("NFD", "Zoë/Größe.WAV"), "anna/b.wav")
    write(mine, {unicodedata.normalize("NFD", "Zoë/") + unicodedata.normalize("NFC", "größe.txt"): "hi"})
    table = read(mine, groups=["speaker"])
    assert table["clip_id"].tolist() == ["Zoë/Größe", "anna/b"] and table["speaker"].tolist() == [
        "Zoë",
        "anna",
    ]
    assert table["text"].tolist() == ["hi", None]


def test_a_changed_annotation_is_other_data(mine):
    sounds(mine, "a.wav", "b.wav")
    write(mine, {"a.txt": "hi", "b.txt": "ho"})
    table = read(mine)
    before = catalog.fingerprint(table), catalog.signature(table)
    write(mine, {"a.txt": "hi there"})
    table = read(mine)
    assert catalog.fingerprint(table) != before[0] and catalog.signature(table) != before[1]


def test_symbols_are_renamed_by_a_table(mine):
    sounds(mine, "a.wav")
    write(mine, {"a.phn": "0 1000 h#\n1000 2000 pau\n2000 4000 ax\n4000 5000 q\n5000 8000 t\n"})
    Path("symbols.csv").write_text("symbol,phone\nh#,sil\npau,sil\nax,ə\nq,\nt,t\n", encoding="utf-8")
    table = read(mine, symbols="symbols.csv")
    assert table["phones"][0] == ["sil", "ə", "t"] and table["ends"][0] == [0.25, 0.625, 1.0]


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
