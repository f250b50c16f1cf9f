"""JamendoLyrics: on songs made here and on what is there."""

from pathlib import Path

import pandas as pd
import pytest

from audiomtl.data.datasets import jamendolyrics
from audiomtl.data.datasets.jamendolyrics import Settings as JamendoLyrics
from audiomtl.errors import MissingData, UserError
from tests.data.datasets.published import real, sound


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


def test_no_word_ends_behind_the_recording(tmp_path):
    jamendo_layout(tmp_path)
    settings = JamendoLyrics(dataset="jamendolyrics", label="genre", groups=[])
    times = tmp_path / "annotations" / "words" / "One_-_Ä.csv"
    times.write_text("word_start,word_end,line_end\n0.5,0.75,\n2.5,3.5,3.5\n")
    assert jamendolyrics.clips(settings, tmp_path)["word_ends"][0] == [0.75, 3.0]
    times.write_text("word_start,word_end,line_end\n0.5,0.75,\n3.5,4.5,4.5\n")
    with pytest.raises(UserError, match=r"a word starts at 3\.500 s, but the recording ends at 3\.000 s"):
        jamendolyrics.clips(settings, tmp_path)
