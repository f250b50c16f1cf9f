"""Published layouts: ESC-50, JamendoLyrics, GTZAN; on files made here and on what shared/data has."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data import protocols
from audiomtl.data.datasets import esc50, gtzan, jamendolyrics
from audiomtl.data.datasets.esc50 import Settings as Esc50
from audiomtl.data.datasets.gtzan import Settings as Gtzan
from audiomtl.data.datasets.jamendolyrics import Settings as JamendoLyrics
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.protocol import Protocol

REAL = Path(os.environ.get("AUDIOMTL_DATA", "data"))


def real(name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"no {REAL / name}: set AUDIOMTL_DATA to a folder that has it")
    return REAL


def protocol(kind: str, column: str) -> Protocol:
    values = {
        "test_share": 0.2,
        "validation_share": 0.2,
        "stratified": True,
        "folds": 5,
        "rotations": 1,
        "leaky": False,
    }
    return Protocol(**{"kind": kind, "column": column, **values, "test_values": [], "validation_values": []})


def sound(path: Path, seconds: float = 0.1, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(8000 * seconds)) + 0.1, 8000, **options)


def esc_settings(*classes: str) -> Esc50:
    return Esc50(dataset="esc50", label="category", groups=["src_file"], classes=list(classes))


def esc_layout(root: Path, suffix: str = ".wav", absent: int = 0) -> Path:
    rows = [
        (f"{fold}-{fold}00{number}-A-{number}", fold, number, ("dog", "rain")[number])
        for fold in (1, 2, 3)
        for number in (0, 1)
    ]
    (root / "meta").mkdir(parents=True)
    table = pd.DataFrame(
        [
            (f"{stem}.wav", fold, target, name, True, stem.split("-")[1], "A")
            for stem, fold, target, name in rows
        ],
        columns=["filename", "fold", "target", "category", "esc10", "src_file", "take"],
    )
    table.to_csv(root / "meta" / "esc50.csv", index=False)
    for stem, *_ in rows[absent:]:
        sound(root / "audio" / f"{stem}{suffix}")
    return root


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
@pytest.mark.parametrize("name", ["ESC-50", "ESC-50-master", "."])
def test_esc50_is_found_in_its_layouts(tmp_path, suffix, name):
    esc_layout(tmp_path / name, suffix)
    table = esc50.clips(esc_settings(), tmp_path)
    assert len(table) == 6 and table["clip_id"].is_monotonic_increasing
    assert (
        table["src_file"].tolist()[0] == "1000"
        and table["fold"].dtype.kind == "i"
        and table.attrs["left_out"] == {}
    )
    assert list(table.columns) == [
        "clip_id",
        "path",
        "seconds",
        "category",
        "fold",
        "side",
        "src_file",
        "target",
        "take",
        "esc10",
    ]
    assert set(esc50.clips(esc_settings("rain"), tmp_path)["category"]) == {"rain"}


def test_esc50_counts_what_is_absent_and_refuses_what_is_not_there(tmp_path):
    with pytest.raises(MissingData, match="ESC-50 is not in"):
        esc50.clips(esc_settings(), tmp_path)
    esc_layout(tmp_path / "ESC-50", absent=2)
    assert esc50.clips(esc_settings(), tmp_path).attrs["left_out"] == {"missing": 2}
    with pytest.raises(UserError, match='"dogs" is not a class of ESC-50; did you mean dog'):
        esc50.clips(esc_settings("dogs"), tmp_path)
    for path in (tmp_path / "ESC-50" / "audio").iterdir():
        path.unlink()
    with pytest.raises(MissingData, match="has none of the 6 recordings"):
        esc50.clips(esc_settings(), tmp_path)


def test_esc50_names_a_broken_recording_and_a_column_that_its_list_lacks(tmp_path):
    root = esc_layout(tmp_path / "ESC-50")
    broken = root / "audio" / "1-1000-A-0.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"1-1000-A-0.wav: cannot be read as sound"):
        esc50.clips(esc_settings(), tmp_path)
    pd.read_csv(root / "meta" / "esc50.csv").drop(columns=["fold", "take"]).to_csv(
        root / "meta" / "esc50.csv", index=False
    )
    with pytest.raises(UserError, match="has no column fold, take"):
        esc50.clips(esc_settings(), tmp_path)


def test_the_real_esc10_keeps_its_sources_together_in_every_fold():
    table = esc50.clips(esc_settings(), real("ESC-50"))
    assert len(table) == 320 and table["category"].nunique() == 10
    tested = []
    for seed in range(4):
        divided = protocols.divide(table, esc_settings(), protocol("folds", "fold"), seed)
        tested += divided.test["clip_id"].tolist()
    assert sorted(tested) == sorted(table["clip_id"])


def test_a_source_in_two_folds_is_refused(tmp_path):
    esc_layout(tmp_path / "ESC-50")
    table = esc50.clips(esc_settings(), tmp_path).assign(src_file=["1", "2", "3", "4", "1", "6"])
    with pytest.raises(UserError, match="src_file 1 is in both"):
        protocols.divide(table, esc_settings(), protocol("folds", "fold"), 0)


def test_real_jamendolyrics_leaves_out_what_is_absent_and_says_so(capsys):
    table = jamendolyrics.clips(
        JamendoLyrics(dataset="jamendolyrics", label="genre", groups=["artist"]), real("jamendolyrics")
    )
    assert len(table) == 7 and table.attrs["left_out"] == {"missing": 72}
    assert "72 of 79 songs are left out" in capsys.readouterr().out
    assert table["seconds"].between(140, 200).all()
    for row in table.itertuples():
        assert len(row.words) == len(row.word_starts) == len(row.word_ends) > 50
        assert max(row.word_ends) <= row.seconds


def jamendo_layout(root: Path, words: int = 2) -> None:
    rows = [
        ("One_-_Ä.mp3", "One", "Ä", "Pop", "German"),
        ("Two_-_B.mp3", "Two", "B", "Rap", "English"),
        ("C.mp3", "Three", "C", "Pop", "French"),
    ]
    root.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["Filepath", "Artist", "Title", "Genre", "Language"]).to_csv(
        root / "JamendoLyrics.csv", index=False
    )
    for name, *_ in rows[:2]:
        sound(root / "mp3" / name, 3)
    for name in ("annotations/words", "lyrics"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "annotations" / "words" / "One_-_Ä.csv").write_text(
        "word_start,word_end,line_end\n0.5,0.75,\n1.0,1.5,1.5\n"
    )
    (root / "lyrics" / "One_-_Ä.words.txt").write_text(
        "\n".join(["schöne", "Wörter", "mehr"][:words]) + "\n", encoding="utf-8"
    )


def test_jamendolyrics_pairs_words_with_times(tmp_path, capsys):
    jamendo_layout(tmp_path / "jamendolyrics")
    settings = JamendoLyrics(dataset="jamendolyrics", label="genre", groups=[])
    table = jamendolyrics.clips(settings, tmp_path)
    assert table[["clip_id", "genre", "language", "artist", "title"]].to_numpy().tolist() == [
        ["One_-_Ä", "Pop", "German", "One", "Ä"],
        ["Two_-_B", "Rap", "English", "Two", "B"],
    ]
    assert table["words"].tolist() == [["schöne", "Wörter"], []]
    assert table["word_starts"].tolist() == [[0.5, 1.0], []] and table["word_ends"].tolist() == [
        [0.75, 1.5],
        [],
    ]
    assert table.attrs["left_out"] == {"missing": 1} and capsys.readouterr().out.count("\n") == 1
    jamendo_layout(tmp_path / "jamendolyrics", words=3)
    with pytest.raises(UserError, match=r"times of 2 words, but One_-_Ä.words.txt has 3"):
        jamendolyrics.clips(settings, tmp_path)
    (tmp_path / "jamendolyrics" / "mp3" / "Two_-_B.mp3").write_bytes(b"no sound")
    (tmp_path / "jamendolyrics" / "lyrics" / "One_-_Ä.words.txt").unlink()
    with pytest.raises(UserError, match=r"Two_-_B.mp3: cannot be read as sound"):
        jamendolyrics.clips(settings, tmp_path)


def test_jamendolyrics_without_songs_is_missing(tmp_path):
    with pytest.raises(MissingData, match="JamendoLyrics is not in"):
        jamendolyrics.clips(JamendoLyrics(dataset="jamendolyrics", label="genre", groups=[]), tmp_path)


def gtzan_settings(filtered: bool = False) -> Gtzan:
    return Gtzan(dataset="gtzan", label="genre", groups=[], fault_filtered=filtered)


def test_gtzan_is_read_with_and_without_its_lists(tmp_path, capsys):
    for genre in ("blues", "jazz"):
        for number in range(3):
            sound(tmp_path / "gtzan" / "genres" / genre / f"{genre}.{number:05}.wav")
    (tmp_path / "gtzan" / "genres" / "jazz" / "jazz.00054.wav").write_bytes(b"broken")
    table = gtzan.clips(gtzan_settings(), tmp_path)
    assert (
        len(table) == 6
        and set(table["genre"]) == {"blues", "jazz"}
        and table.attrs["left_out"] == {"unreadable": 1}
    )
    assert capsys.readouterr().out == "GTZAN: 1 clips are left out, unreadable: jazz.00054\n"
    with pytest.raises(
        MissingData,
        match=r"train_filtered.txt is missing; put train_filtered.txt, valid_filtered.txt, test_filtered.txt",
    ):
        gtzan.clips(gtzan_settings(True), tmp_path)
    for number, name in enumerate(("train", "valid", "test")):
        lines = [f"{genre}/{genre}.{number:05}.wav" for genre in ("blues", "jazz")]
        (tmp_path / "gtzan" / f"{name}_filtered.txt").write_text("\n".join(lines))
    table = gtzan.clips(gtzan_settings(True), tmp_path)
    divided = protocols.divide(table, gtzan_settings(True), protocol("split", "side"), 0)
    assert [len(rows) for rows in divided.sides().values()] == [2, 2, 2]
    sound(tmp_path / "gtzan" / "genres" / "jazz" / "jazz.00060.wav")  # in no list
    assert (
        len(gtzan.clips(gtzan_settings(), tmp_path)) == 7
        and len(gtzan.clips(gtzan_settings(True), tmp_path)) == 6
    )
    test = tmp_path / "gtzan" / "test_filtered.txt"
    test.write_text(test.read_text() + "\njazz/jazz.00099.wav\njazz/jazz.00054.wav\n")
    table = gtzan.clips(gtzan_settings(True), tmp_path)
    assert len(table) == 6 and table.attrs["left_out"] == {"missing": 1, "unreadable": 1}
    test.write_text(test.read_text() + "blues/blues.00000.wav\n")
    with pytest.raises(UserError, match=r"test_filtered.txt: blues.00000 is also in train_filtered.txt"):
        gtzan.clips(gtzan_settings(True), tmp_path)


def test_real_gtzan_layout():
    assert gtzan.clips(gtzan_settings(), real("gtzan"))["clip_id"].tolist() == ["country.00000"]
