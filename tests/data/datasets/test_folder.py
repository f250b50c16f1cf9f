"""A folder of recordings: classes by folder, annotations beside the recordings, metadata.csv."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl.data import audio, catalog
from audiomtl.data.datasets import folder, timit, vocadito
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
    write(mine, {"f0/one.csv": "0.0,123.4\n0.1,0\n"})
    assert "f0/*.csv is not read: one.csv is of no known format" in read(mine).attrs["remarks"]
    assert read(mine, annotations=["notes/*_A2.csv"])["notes"].tolist() == [[(0.1, 0.3, 61)], None]


def test_one_file_may_have_the_words_of_all_recordings(mine):
    sounds(mine, "a.wav", "b.wav", "c.m4a", "d.wav")
    write(mine, {"all.ctm": "a 1 0.1 0.2 hi\na 1 0.3 0.2 you\nb 1 0.1 0.2 ho\n"})
    table = read(mine)
    assert table["words"].tolist() == [["hi", "you"], ["ho"], None]
    assert table["text"].tolist() == ["hi you", "ho", None]
    assert table.attrs["remarks"] == (
        "not read: 1 .m4a files, such as c.m4a; convert them to WAV or FLAC",
        "all.ctm has the words of 2 of 3 recordings",
    )


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


def test_the_layout_of_the_full_timit(mine):
    """Upper case, and three folders deep; the recordings are NIST SPHERE under the suffix .WAV."""
    for name in ("TRAIN/DR1/FCJF0/SA1", "TRAIN/DR1/FCJF0/SX37", "TEST/DR2/MDAB0/SX49"):
        path = mine / f"{name}.WAV"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = (1000 * np.random.default_rng(len(name)).standard_normal(8000)).astype("<i2")
        head = "NIST_1A\n   1024\nchannel_count -i 1\nsample_count -i 8000\nsample_rate -i 16000\n"
        head += "sample_n_bytes -i 2\nsample_byte_format -s2 01\nsample_sig_bits -i 16\nsample_coding -s3 pcm\nend_head\n"
        path.write_bytes(head.encode().ljust(1024, b" ") + samples.tobytes())
        write(mine, {f"{name}.PHN": "0 4000 h#\n4000 8000 ax\n", f"{name}.TXT": "0 8000 Don't ask.\n"})
    table = read(mine, leave_out=["*/sa1"], symbols="timit39", groups=["speaker", "sentence"])
    assert table["clip_id"].tolist() == ["TEST/DR2/MDAB0/SX49", "TRAIN/DR1/FCJF0/SX37"]
    assert table["speaker"].tolist() == ["MDAB0", "FCJF0"] and table["split"].tolist() == ["test", "train"]
    assert table["phones"].tolist() == [["sil", "ah"]] * 2 and table["sentence"].tolist() == ["don't ask"] * 2
    assert table["seconds"].tolist() == [0.5, 0.5]


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


def test_notes_of_vocadito_are_those_of_its_own_reader(monkeypatch, tmp_path):
    root = real("vocadito")
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    known = vocadito.clips(vocadito.Settings(dataset="vocadito", groups=[], annotator="A2"), root)
    found = read(root / "vocadito", annotations=["Annotations/Notes/*_notesA2.csv"])
    assert [tuple(notes) for notes in found["notes"]] == known["notes"].tolist()


def test_two_formats_of_the_ae_database_say_the_same(monkeypatch, tmp_path):
    root = real("ae") / "ae"
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    grid = read(root, annotations=["annotationFiles/*.textgrid"], tier="Phonetic")
    lab = read(root, annotations=["annotationFiles/*.lab", "txtFiles/*.txt"])
    assert len(grid) == 7 and lab["text"][0] == "amongst her friends she was considered beautiful"
    for one, other in zip(lab["phones"], grid["phones"], strict=True):
        # the .lab begins with H#, the TextGrid with an interval without text, and ends with another
        assert one[0] == "H#" and other[0] == other[-1] == "_" and one[1:] == other[1:-1]
    for one, other in zip(lab["ends"], grid["ends"], strict=True):
        assert np.allclose(one, other[:-1], atol=1e-5)
