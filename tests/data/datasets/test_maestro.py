"""MAESTRO: on lists made here and on the real one where it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import scores
from audiomtl.data.datasets import maestro
from audiomtl.data.datasets.maestro import Settings as Maestro
from audiomtl.errors import UserError
from tests.data.datasets.published import check_missing, real, sound

SETTINGS = Maestro(dataset="maestro", label="composer", groups=[], years=[])


def test_a_set_that_is_not_there_is_missing_and_says_where_it_belongs(tmp_path):
    check_missing(maestro, SETTINGS, tmp_path)


def maestro_layout(root: Path, kind: str) -> None:
    names = (
        "canonical_composer",
        "canonical_title",
        "split",
        "year",
        "midi_filename",
        "audio_filename",
        "duration",
    )
    rows = [
        dict(
            zip(
                names,
                ("Bach", f"Piece, {n}", split, year, f"{year}/{n}.midi", f"{year}/{n}.wav", 1.0),
                strict=True,
            )
        )
        for n, (split, year) in enumerate((("train", 2004), ("test", 2018), ("validation", 2018)))
    ]
    for row in rows[:2]:
        sound(root / row["audio_filename"], 1.0)
        scores.write_notes(root / row["midi_filename"], {"piano": [(0.25, 0.5, 60), (0.25, 0.75, 64)]})
    if kind == "csv":
        lines = [",".join(f'"{row[name]}"' for name in names) for row in rows]
        (root / "maestro-v3.0.0.csv").write_text("\n".join([",".join(names), *lines]))
    else:
        columns = {name: {str(n): row[name] for n, row in enumerate(rows)} for name in names}
        (root / "maestro-v3.0.0.json").write_text(json.dumps(columns if kind == "columns" else rows))


@pytest.mark.parametrize("kind", ["csv", "columns", "rows"])
def test_maestro_is_read_from_its_lists(tmp_path, kind, capsys):
    maestro_layout(tmp_path / "maestro", kind)
    (tmp_path / "maestro" / "maestro-v1.0.0.csv").write_text("an older list")
    table = maestro.clips(SETTINGS, tmp_path)
    assert table[["clip_id", "composer", "title", "side", "year"]].to_numpy().tolist() == [
        ["0", "Bach", "Piece, 0", "train", 2004],
        ["1", "Bach", "Piece, 1", "test", 2018],
    ]
    assert np.allclose(table["notes"][1], [(0.25, 0.5, 60), (0.25, 0.75, 64)])
    assert table.attrs["left_out"] == {"missing": 1} and capsys.readouterr().out == ""
    only = maestro.clips(Maestro(dataset="maestro", label="composer", groups=[], years=[2018]), tmp_path)
    assert only["clip_id"].tolist() == ["1"] and only.attrs["left_out"] == {"missing": 1}


def test_a_maestro_list_without_a_column_and_one_that_is_none_are_refused(tmp_path):
    maestro_layout(tmp_path / "maestro", "rows")
    (tmp_path / "maestro" / "maestro-v3.0.0.csv").write_text("year,split\n2004,train\n")
    with pytest.raises(
        UserError,
        match=r"maestro-v3.0.0.csv: has no column canonical_composer, canonical_title, midi_filename",
    ):
        maestro.clips(SETTINGS, tmp_path)
    (tmp_path / "maestro" / "maestro-v3.0.0.csv").unlink()
    (tmp_path / "maestro" / "maestro-v3.0.0.json").write_text("{")
    with pytest.raises(UserError, match=r"maestro-v3.0.0.json: cannot be read"):
        maestro.clips(SETTINGS, tmp_path)


def test_the_real_maestro_whose_recording_was_cut(capsys):
    table = maestro.clips(SETTINGS, real("maestro"))
    assert len(table) == 1 and table["seconds"][0] == 2.0
    notes = table["notes"][0]  # of 4197
    assert len(notes) == 2 and max(end for _, end, _ in notes) <= 2
    assert "1 recordings end before their notes do: MIDI-Unprocessed_Chamber3" in capsys.readouterr().out
