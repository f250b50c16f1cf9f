"""GTZAN: on clips made here and on what is there."""

import pytest

from audiomtl.data import protocols
from audiomtl.data.datasets import gtzan
from audiomtl.data.datasets.gtzan import Settings as Gtzan
from audiomtl.errors import MissingData, UserError
from tests.data.datasets.published import protocol, real, sound


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
