"""vocadito: on annotations made here and on the real ones where they are."""

from pathlib import Path

import pytest

from audiomtl.data.datasets import vocadito
from audiomtl.data.datasets.vocadito import Settings as Vocadito
from audiomtl.errors import UserError
from tests.data.datasets.published import check_missing, real, sound

SETTINGS = Vocadito(dataset="vocadito", label="singer", groups=[], annotator="A1")


def test_a_set_that_is_not_there_is_missing_and_says_where_it_belongs(tmp_path):
    check_missing(vocadito, SETTINGS, tmp_path)


def vocadito_layout(
    root: Path, notes: str = "0.25,440.0,0.25\n0.5,445.0,0.25\n", f0: str = "0.0,0.0\n0.01,439.5\n"
) -> None:
    sound(root / "Audio" / "vocadito_2.wav", 1.0)
    for folder in ("F0", "Notes", "Lyrics"):
        (root / "Annotations" / folder).mkdir(parents=True, exist_ok=True)
    (root / "vocadito_metadata.csv").write_text(
        "track_id,singer_id,average_pitch,language\n1,S1,50,Tagalog\n2,S2,65,Spanish\n"
    )
    (root / "Annotations" / "F0" / "vocadito_2_f0.csv").write_text(f0)
    (root / "Annotations" / "Notes" / "vocadito_2_notesA1.csv").write_text(notes)
    (root / "Annotations" / "Lyrics" / "vocadito_2_lyrics.txt").write_text(
        "una línea\nOtra \n", encoding="utf-8"
    )


def test_vocadito_is_read(tmp_path):
    vocadito_layout(tmp_path / "vocadito")
    table = vocadito.clips(SETTINGS, tmp_path)
    row = table.iloc[0]
    assert (row["clip_id"], row["singer"], row["language"], row["text"]) == (
        "vocadito_2",
        "S2",
        "Spanish",
        "una línea Otra",
    )
    assert (
        row["notes"] == ((0.25, 0.5, 69), (0.5, 0.75, 69))
        and row["f0_hz"] == [0.0, 439.5]
        and row["f0_times"] == [0.0, 0.01]
    )
    assert table.attrs["left_out"] == {"missing": 1}
    with pytest.raises(UserError, match=r"notesA2.csv: no such file"):
        vocadito.clips(Vocadito(dataset="vocadito", label="singer", groups=[], annotator="A2"), tmp_path)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("0.25,440.0,0.5\n0.5,300.0,0.25\n", r"notesA1.csv: the notes 69 .* and 62 .* overlap"),
        ("0.25,0.0,0.5\n", r"notesA1.csv: a note has 0.0 Hz"),
        ("0.25,440.0\n", r"notesA1.csv: must have 3 columns of finite numbers, but has 2"),
        ("a,b,c\n", r"notesA1.csv: cannot be read as a table of numbers"),
        ("", r"notesA1.csv: cannot be read as a table of numbers"),
    ],
)
def test_vocadito_notes_that_are_none_are_refused(tmp_path, notes, message):
    vocadito_layout(tmp_path / "vocadito", notes)
    with pytest.raises(UserError, match=message):
        vocadito.clips(SETTINGS, tmp_path)


def test_the_real_vocadito():
    root = real("vocadito")
    tables = [
        vocadito.clips(Vocadito(dataset="vocadito", label="singer", groups=[], annotator=one), root)
        for one in ("A1", "A2")
    ]
    assert [len(table["notes"][0]) for table in tables] == [59, 64] and tables[0].attrs["left_out"] == {
        "missing": 39
    }
    assert len(tables[0]["f0_hz"][0]) == 5722 and tables[0]["text"][0].startswith("ako ay may lobo lumipad")
