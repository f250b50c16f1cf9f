"""Annotation formats: what each file says, in seconds, and which format is believed first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl.data import annotations, audio, scores
from audiomtl.data.annotations import Options, Sound

LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 1
            text = "häuser"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0.25
            xmax = 0.5
            text = "h"
        intervals [2]:
            xmin = 0.5
            xmax = 1
            text = "ɔʏ"
"""
H = [(0.25, 0.5, "h"), (0.5, 1.0, "ɔʏ")]
CASES: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    # file, content, format, settings, what it says
    ("a.TextGrid", LONG_GRID, "textgrid", {}, {"phones": [(0.0, 0.25, "_"), *H], "words": [(0.25, 1.0, "häuser")]}),
    ("a.textgrid", LONG_GRID, "textgrid", {"tier": "words", "spans": "events"}, {"events": [(0.25, 1.0, "häuser")]}),
    ("a.phn", "2000 4000 h\n4000 8000 ɔʏ\n", "phn", {}, {"phones": H}),
    ("a.PHN", "\n2000  4000\th\n4000 8000 ɔʏ", "phn", {}, {"phones": H}),
    ("a.Wrd", "0 4000 two\n2000 8000 words\n", "wrd", {}, {"words": [(0.0, 0.5, "two"), (0.25, 1.0, "words")]}),
    ("a.lab", "2500000 5000000 h\n5000000 10000000 ɔʏ\n", "lab", {}, {"phones": H}),
    ("a.lab", "0.25 0.5 h\n0.5 1.0 ɔʏ\n", "lab", {}, {"phones": H}),
    ("a.LAB", "2000 4000 h\n4000 8000 ɔʏ\n", "lab", {}, {"phones": H}),
    ("a.lab", "0.25 0.5 C maj\n", "lab", {"spans": "events"}, {"events": [(0.25, 0.5, "C maj")]}),
    ("a.lab", "signal a\nnfields 1\n#\n 0.25 125 H#\n 0.5 125 h\n 1.0 125 ɔʏ\n", "lab", {}, {"phones": [(0.0, 0.25, "H#"), *H]}),
    ("a.lab", "zwei häuser\n", "txt", {}, {"text": "zwei häuser"}),
    ("a.txt", "zwei\r\n häuser\r\n", "txt", {}, {"text": "zwei häuser"}),
    ("a.TXT", "0 8000 She had your suit.\n", "txt", {}, {"text": "She had your suit."}),
    ("a.txt", "7 Häuser", "txt", {}, {"text": "7 Häuser"}),
    ("a.txt", "0.25\t0.5\th\n\\\t100\t200\n0.4\t1\tɔʏ\n", "audacity", {}, {"events": [(0.25, 0.5, "h"), (0.4, 1.0, "ɔʏ")]}),
    ("a.txt", "0.25\t0.5\th\n0.5\t1\tɔʏ\n", "audacity", {"spans": "phones"}, {"phones": H}),
    ("a.ctm", ";; made\na 1 0.25 0.25 zwei 0.9\nb 1 0 1 nein\na 1 0.5 0.5 häuser\n", "ctm", {}, {"words": [(0.25, 0.5, "zwei"), (0.5, 1.0, "häuser")]}),
    ("a.ctm", "x 1 0.25 0.25 h\nx 1 0.5 0.5 ɔʏ\n", "ctm", {"spans": "phones"}, {"phones": H}),
    ("a.csv", "onset,offset,event_label\n0.5,1,dog\n0.25,0.75,cat\n", "events", {}, {"events": [(0.25, 0.75, "cat"), (0.5, 1.0, "dog")]}),
    ("a.tsv", "start\tduration\tlabel\n0.25\t0.25\tcat\n", "events", {}, {"events": [(0.25, 0.5, "cat")]}),
    ("a.csv", "0.25;0.5;cat\n", "events", {}, {"events": [(0.25, 0.5, "cat")]}),
    ("a.csv", "Start;End;Word\n0.25;0.5;zwei\n", "events", {}, {"words": [(0.25, 0.5, "zwei")]}),
    ("a.csv", "start_time,end_time,lyrics_line\n0.25,0.5,zwei\n0.5,1,häuser da\n", "events", {}, {"text": "zwei häuser da"}),
    ("a.csv", "Start;Duration;Pitch;Velocity\n0.25;0.25;59;38\n", "events", {}, {"notes": [(0.25, 0.5, 59)]}),
    ("a.csv", "0.25,440.0,0.25\n0.5,225.1,0.5\n", "events", {}, {"notes": [(0.25, 0.5, 69), (0.5, 1.0, 57)]}),
    ("a.csv", "0.25,0.5,69\n0.5,1.0,57\n", "events", {}, {"notes": [(0.25, 0.5, 69), (0.5, 1.0, 57)]}),
    ("a.csv", "0.0,123.4\n0.1,0\n", "", {}, {}),
    ("a.csv", "start,end,line_end\n0.1,0.2,nan\n", "", {}, {}),
    ("a.json", "{}", "", {}, {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 1 s at 8 kHz."""
    path = tmp_path_factory.mktemp("annotations") / "a.wav"
    audio.save(path, 0.1 * np.ones(8000), sample_rate=8000)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("name", "content", "form", "options", "parts"), CASES, ids=range(len(CASES)))
def test_what_a_file_says(name, content, form, options, parts, encoding, sound, tmp_path):
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    assert annotations.of_file(path) == form
    if form:
        assert annotations.formats()[form].read(path, Sound(sound), Options(**options)).parts == parts


def test_notes_of_midi(sound, tmp_path):
    scores.write_notes(tmp_path / "a.MID", {"": [(0.25, 0.5, 60)]})
    assert annotations.of_file(tmp_path / "a.MID") == "midi"
    assert annotations.formats()["midi"].read(tmp_path / "a.MID", Sound(sound), Options()).parts == {
        "notes": [(0.25, 0.5, 60)]
    }


def test_formats_are_found_by_their_files_in_the_order_in_which_they_are_believed():
    names = ["textgrid", "phn", "lab", "wrd", "ctm", "audacity", "events", "midi", "txt"]
    assert list(annotations.formats()) == names
    folder = Path(annotations.__file__).parent
    assert sorted(names) == sorted(path.stem for path in folder.glob("[a-z]*.py"))
