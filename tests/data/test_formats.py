"""Answers as files, read again by other programs' libraries where there are any."""

import csv
import io
import json

import numpy as np
import pytest

from audiomtl.data import formats, scores
from audiomtl.data.answers import Classes, Notes, Phones, Response, Span, Value, joined, segments
from audiomtl.data.formats import FORMATS
from audiomtl.errors import UserError

PHONES = Phones((Span(0.1, 0.25, "m", 0.9), Span(0.25, 0.5, "oː"), Span(0.6, 1.0, 'a"', 0.5)))
NOTES = Notes(((0.0, 0.5, 60), (0.25, 1.0, 64)))
HEARD = segments(
    ("dog", "rain"),
    np.array([0.0, 0.5, 1.0]),
    0.5,
    np.array([[0.9, 0.2], [0.8, 0.6], [0.1, 0.7]]),
    until=1.4,
)
WHOLE = Response(
    "some folder/a song.wav",
    1.4,
    {
        "classes": Classes(("a", "=b", "c"), np.array([0.2, 0.5, 0.3])),
        "segments": HEARD,
        "phones": PHONES,
        "voice": NOTES,
        "age": Value(34.25),
    },
    ("padded from 1.4 s to 5 s",),
)


def text(name: str, response: Response = WHOLE, top: int = 2) -> str:
    one = FORMATS[name]
    return one.text(one.part(response), top)


def only(**answers) -> Response:
    return Response("x.wav", 1.4, answers)


def test_segments_are_joined_and_end_with_the_recording() -> None:
    assert HEARD.spans == (Span(0.0, 1.0, "dog", 0.9), Span(0.5, 1.4, "rain", 0.7))
    gaps = [(0.0, np.array([0.6])), (1.0, np.array([0.2])), (2.0, np.array([0.5]))]
    assert list(joined(iter(gaps), ("a",), 1.0, 0.5)) == [Span(0, 1, "a", 0.6), Span(2, 3, "a", 0.5)]
    behind = segments(("a",), np.array([0.0, 1.0]), 1.0, np.ones((2, 1)), until=0.5)
    assert behind.spans == (Span(0.0, 0.5, "a", 1.0),)


def test_a_table_is_a_line_per_answer() -> None:
    assert text("table").splitlines() == [
        "some folder/a song.wav: classes: =b 0.500, c 0.300",
        'some folder/a song.wav: phones: m oː a"',
        "some folder/a song.wav: voice: 2 notes",
        "some folder/a song.wav: age: 34.25",
    ]
    assert text("table", only(phones=Phones(()))) == "x.wav: no phones\n"
    assert text("table", only(heard=HEARD)) == "x.wav: dog 0.00-1.00 s, rain 0.50-1.40 s\n"


def test_a_line_of_json_has_every_answer() -> None:
    [line] = text("jsonl").splitlines()
    read = json.loads(line)
    assert (read["file"], read["seconds"]) == (WHOLE.name, 1.4) and read["remarks"] == list(WHOLE.remarks)
    assert read["answers"]["classes"] == [
        {"label": "=b", "probability": 0.5},
        {"label": "c", "probability": 0.3},
    ]
    assert read["answers"]["phones"][1] == {
        "start_seconds": 0.25,
        "end_seconds": 0.5,
        "label": "oː",
        "score": None,
    }
    assert read["answers"]["voice"][1] == {"start_seconds": 0.25, "end_seconds": 1.0, "pitch": 64}
    assert read["answers"]["age"] == 34.25


def test_rows_of_csv_are_labels_with_times() -> None:
    page = io.StringIO(FORMATS["csv"].head + text("csv"))
    read = list(csv.DictReader(page))
    assert [(row["answer"], row["label"]) for row in read] == [
        ("classes", "'=b"),  # no spreadsheet takes it for a formula
        ("classes", "c"),
        ("segments", "dog"),
        ("segments", "rain"),
        ("phones", "m"),
        ("phones", "oː"),
        ("phones", 'a"'),
        ("voice", "60"),
        ("voice", "64"),
        ("age", "34.25"),
    ]
    assert (read[3]["start_seconds"], read[3]["end_seconds"], read[3]["score"]) == (
        "0.500",
        "1.400",
        "0.700000",
    )
    assert read[5]["score"] == ""


def test_a_text_grid_is_edge_to_edge() -> None:
    tiers = text("textgrid").split("    item [")[1:]
    names = [tier.partition('name = "')[2].partition('"\n')[0] for tier in tiers]
    assert names == ["segments dog", "segments rain", "phones"] and 'text = "a"""' in tiers[2]
    for tier in tiers:
        edges = [line.split(" = ")[1] for line in tier.splitlines() if line.startswith("            xm")]
        assert edges[0] == "0.000000" and edges[-1] == "1.400000" and edges[1:-1:2] == edges[2::2]
        assert f"intervals: size = {len(edges) // 2}" in tier
    overlapping = [Span(0.0, 1.0, "a"), Span(0.5, 1.4, "a"), Span(0.6, 0.9, "a")]
    assert formats.text_grid({"a": overlapping}, 1.4).count("text =") == 2


def test_labels_of_audacity() -> None:
    assert text("labels", only(phones=PHONES)).splitlines()[1] == "0.250000\t0.500000\toː"
    assert "0.250000\t1.000000\tvoice: 64" in text("labels").splitlines()


def test_ctm_and_rttm_have_no_spaces_in_their_fields() -> None:
    assert text("ctm").splitlines() == [
        "a_song 1 0.100 0.150 m 0.9000",
        "a_song 1 0.250 0.250 oː",
        'a_song 1 0.600 0.400 a" 0.5000',
    ]
    assert text("rttm").splitlines() == [
        "SPEAKER a_song 1 0.000 1.000 <NA> <NA> dog 0.9000 <NA>",
        "SPEAKER a_song 1 0.500 0.900 <NA> <NA> rain 0.7000 <NA>",
    ]


def test_notes_come_back_from_midi(tmp_path) -> None:
    FORMATS["midi"].write(tmp_path / "x.mid", [FORMATS["midi"].part(WHOLE)], 1)
    assert np.allclose(scores.read_notes(tmp_path / "x.mid", instrument="voice"), NOTES.notes, atol=1e-4)


def test_notes_of_a_model_that_overlap_on_one_key_are_written(tmp_path) -> None:
    found = ((0.2, 0.7, 60), (0.6611, 1.2, 60), (0.5, 0.9, 64))  # a refined onset before the step of its peak
    FORMATS["midi"].write(tmp_path / "x.mid", [only(notes=Notes(found))], 1)
    read = scores.read_notes(tmp_path / "x.mid")
    assert np.allclose(read, [(0.2, 0.6611, 60), (0.5, 0.9, 64), (0.6611, 1.2, 60)], atol=1e-4)


def test_a_file_has_its_head_and_all_recordings(tmp_path) -> None:
    FORMATS["csv"].write(tmp_path / "x.csv", [WHOLE, only(age=Value(1.0))], 1)
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == "file,answer,start_seconds,end_seconds,label,score" and lines[-1].startswith(
        "x.wav,age,"
    )


@pytest.mark.parametrize(
    ("to", "name", "file"),
    [("csv", "csv", False), ("TextGrid", "textgrid", False), ("a/x.TextGrid", "textgrid", True), ("x.MIDI", "midi", True), ("x.txt", "labels", True)],
)  # fmt: skip
def test_a_format_is_named_or_known_by_its_ending(to, name, file) -> None:
    one, path = formats.chosen(to)
    assert one.name == name and (str(path) == to if file else path is None)


@pytest.mark.parametrize("to", ["xml", "x.xml", "", "jsn"])
def test_other_formats_are_refused(to) -> None:
    with pytest.raises(UserError, match=rf"^--to {to}: must be table, jsonl, csv, textgrid, labels") as error:
        formats.chosen(to)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "produced", "able"),
    [("midi", ["classes"], "table, jsonl, csv$"), ("ctm", ["segments"], "textgrid, labels, rttm$"), ("rttm", ["notes"], "labels, midi$")],
)  # fmt: skip
def test_a_format_that_holds_none_of_it_is_refused_with_those_that_do(name, produced, able) -> None:
    with pytest.raises(UserError, match=rf"--to {name}: holds .*, but this gives .*; use one of .*{able}"):
        formats.fitting(FORMATS[name], produced, "this")
    for kinds, kind in formats.KINDS.items():
        assert any(kind in one.holds for one in FORMATS.values() if one.name != "table"), kinds
