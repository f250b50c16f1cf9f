"""SONG070: on labels made here and on the real song where it is."""

from pathlib import Path

import pytest

from audiomtl.data import catalog
from audiomtl.data.datasets import song070
from audiomtl.data.datasets.song070 import Settings as Song070
from audiomtl.errors import UserError
from tests.data.datasets.published import check_missing, real, sound

SETTINGS = Song070(dataset="song070", label="song", groups=[])


def test_a_set_that_is_not_there_is_missing_and_says_where_it_belongs(tmp_path):
    check_missing(song070, SETTINGS, tmp_path)


def context(phone: str, note: str, place: int) -> str:
    return f"v@xx^xx-{phone}+o=xx_xx%xx/A:xx-1-xx@xx~xx/D:A4!0#1/E:{note}]0^11=2/4~96!1@60#24+xx]{place}$2|0[12&0]48~1-mp^xx/F:G4#2"


def song_layout(root: Path, lines: list[tuple]) -> None:
    sound(root / "song070" / "nitech_jp_song070_f001_010.wav", 1.0)
    text = "".join(f"{start} {end} {context(*rest)}\n" for start, end, *rest in lines)
    (root / "song070" / "nitech_jp_song070_f001_010.lab").write_text(text)


def test_song070_notes_begin_with_their_consonant_and_equal_ones_stay_two(tmp_path):
    lines = [
        (0, 1000000, "pau", "xx", 1),
        (1000000, 2000000, "k", "Db4", 1),
        (2000000, 4000000, "a", "Db4", 1),
    ]
    lines += [
        (4000000, 5000000, "a", "Db4", 2),
        (5000000, 6000000, "pau", "xx", 2),
        (6000000, 10000000, "N", "C#5", 3),
    ]
    song_layout(tmp_path, lines)
    row = song070.clips(SETTINGS, tmp_path).iloc[0]
    assert (row["singer"], row["song"], row["tempo"], row["seconds"]) == ("f001", "010", 96, 1.0)
    assert (
        row["phones"] == ["pau", "k", "a", "a", "pau", "N"]
        and row["starts"][1] == 0.1
        and row["ends"][-1] == 1.0
    )
    assert row["notes"] == ((0.1, 0.4, 61), (0.4, 0.5, 61), (0.6, 1.0, 73))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            (0, 20000000, "a", "A4", 1),
            r"line 1: 0.0 to 2.0 s must follow the line before and end with the sound, 1.000 s",
        ),
        ((0, 1000000, "a", "H4", 1), r'line 1: "H4" is not a pitch'),
        ((5, 5, "a", "A4", 1), "line 1: .*must be start < end and a full context"),
        ((0, 1000000, "a", "A0", 1), None),
        ((0, 1000000, "a", "G0", 1), r"f001_010.lab: the note 19 .*outside the 88 keys"),
    ],
)
def test_song070_lines_that_are_none_are_refused(tmp_path, line, message):
    song_layout(tmp_path, [line])
    if message is None:
        assert song070.clips(SETTINGS, tmp_path).iloc[0]["notes"] == ((0.0, 0.1, 21),)
        return
    with pytest.raises(UserError, match=message):
        song070.clips(SETTINGS, tmp_path)


def test_the_real_song070():
    table = song070.clips(SETTINGS, real("song070"))
    row = table.iloc[0]
    assert (
        len(table) == 1
        and row["tempo"] == 100
        and len(row["phones"]) == len(row["starts"]) == len(row["ends"]) == 135
    )
    assert len(row["notes"]) == 64 and {pitch for *_, pitch in row["notes"]} == {65, 67, 69, 72, 74}
    assert row["ends"][-1] == pytest.approx(row["seconds"], abs=0.001) and catalog.fingerprint(table)
