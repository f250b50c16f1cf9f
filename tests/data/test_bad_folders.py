"""Bad folders and annotations: each is refused in one line with its place, the value, the rule and the remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl.data import audio, scores
from audiomtl.data.datasets import folder as folders
from audiomtl.errors import MissingData, UserError

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
{count}
{tiers}"""
TIER = '"IntervalTier"\n"{name}"\n0\n1\n1\n0\n1\n"{label}"\n'


def grid(*names: str, label: str = "a") -> str:
    tiers = "".join(TIER.format(name=name, label=label) for name in names)
    return GRID.format(count=len(names), tiers=tiers)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Four recordings of 1 s at 8 kHz."""
    place, found = tmp_path_factory.mktemp("sounds"), []
    for number in range(4):
        y = 0.1 * np.random.default_rng(number).standard_normal(8000)
        audio.save(place / "a.wav", y.clip(-1, 1), sample_rate=8000)
        found.append((place / "a.wav").read_bytes())
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def read(**changes: Any) -> Any:
    values = {"dataset": "folder", "folder": "mine", "groups": [], "on_bad": "error"}
    return folders.clips(folders.Settings(**{**values, **changes}), Path("data"))


def message(**changes: Any) -> str:
    with pytest.raises(UserError) as raised:
        read(**changes)
    text = str(raised.value)
    assert "\n" not in text and len(text) < 800, text
    return text


ANNOTATIONS = {  # name and content of a file beside a.wav, what the message says, settings
    "phn with two parts": ("a.phn", "0 4000\n", ['a.phn line 1: "0 4000" must be start, end and label']),
    "phn with words for numbers": ("a.phn", "x 4000 a\n", ['a.phn line 1: "x": must be a number']),
    "phn that is empty": ("a.phn", "\n", ["a.phn: has no labels; write them, or remove the file"]),
    "phn that goes back": ("a.PHN", "0 4000 a\n3000 8000 b\n", ['a.PHN line 2: "b" starts at 0.375 s, before "a" of line 1 ends']),
    "phn without length": ("a.phn", "0 4000 a\n4000 4000 b\n", ["must end after its start"]),
    "phn of another recording": ("a.phn", "0 400000000 a\n", ["is behind the end of a.wav (1.000 s) whether it is in samples or 100 ns", "belong together"]),
    "phn that begins before 0": ("a.phn", "-5 4000 a\n", ["must start at 0 s or later"]),
    "phn that is infinite": ("a.phn", "0 inf a\n", ["must be a finite number"]),
    "wrd without a word": ("a.wrd", "0 4000\n", ["a.wrd line 1", "must be start, end and label"]),
    "lab in seconds behind the end": ("a.lab", "0.0 0.5 a\n0.5 9.0 b\n", ["a.lab: the last label ends at 9", "whether it is in seconds"]),
    "lab of xwaves without a color": ("a.lab", "signal a\n#\n0.5 a\n", ["a.lab line 3", "must be the end of a segment, a color and a label"]),
    "lab of xwaves without labels": ("a.lab", "signal a\n#\n", ["has no labels after its line #"]),
    "lab of xwaves that goes back": ("a.lab", "#\n0.5 1 a\n0.4 1 b\n", ["must end after its start"]),
    "TextGrid that is none": ("a.TextGrid", "hello", ["a.TextGrid: cannot be read as a TextGrid", "save it as text"]),
    "TextGrid cut off": ("a.TextGrid", grid("phones")[:80], ["cannot be read as a TextGrid"]),
    "TextGrid of unknown tiers": ("a.TextGrid", grid("one", "two"), ["which of its tiers has the phones cannot be told", 'data.tier = "NAME" with one of "one", "two"']),
    "TextGrid of two tiers of phones": ("a.TextGrid", grid("phones", "phonemes"), ["cannot be told", '"phones", "phonemes"']),
    "TextGrid without that tier": ("a.TextGrid", grid("phones", "two"), ['data.tier = "phone": no such interval tier; did you mean phones?; it has "phones", "two"'], {"tier": "phone"}),
    "TextGrid without labels": ("a.TextGrid", grid("phones", label=""), ["no interval of tier phones has a label"]),
    "CTM with three parts": ("a.ctm", "a 1 0.0\n", ["a.ctm line 1", "recording, channel, start, duration, word"]),
    "CTM without length": ("a.ctm", "a 1 0.0 0 x\n", ["the duration 0 must be above 0 s"]),
    "CTM of others": ("a.ctm", "b 1 0 1 x\nc 1 0 1 x\n", ["has no words of a; it has those of b, c"]),
    "Audacity label without length": ("a.txt", "0.5\t0.5\tdog\n", ["a.txt line 1", "must end after its start"]),
    "Audacity label without text": ("a.txt", "0.5\t0.7\t\n", ["0.5 to 0.7 s has no label"]),
    "Audacity label with commas": ("a.txt", "0,5\t0,7\tdog\n", ['"0,5": must be a number; write a decimal point']),
    "transcript that is empty": ("a.txt", " \n", ["a.txt: the transcript is empty"]),
    "transcript that is no text": ("a.txt", "\0\1\2", ["contains zero bytes"]),
    "events without length": ("a.csv", "onset,offset,label\n0.5,0.5,dog\n", ["a.csv line 2", "must end after its start"]),
    "events that are no numbers": ("a.csv", "onset,offset,label\nx,0.5,dog\n", ['a.csv row 2: "x": must be a number']),
    "events behind the end": ("a.csv", "onset,offset,label\n0.5,7,dog\n", ["events reach 7.000 s, but the recording ends at 1.000 s"]),
    "notes at 0 Hz": ("a.csv", "onset,hz,duration\n0.1,0,0.2\n", ["0 Hz must be above 0 Hz"]),
    "notes between the keys": ("a.csv", "onset,offset,pitch\n0.1,0.2,60.5\n", ["60.5: must be a whole MIDI number"]),
    "MIDI that is none": ("a.mid", "hello", ["a.mid: cannot be read as MIDI"]),
    "annotations that do not exist": ("a.phn", "0 8000 a\n", ['data.annotations = "*.phm": there are no such files; did you mean *.phn?'], {"annotations": ["*.phm"]}),
    "annotations that no format reads": ("a.csv", "one,two\n1,2\n", ['data.annotations = "*.csv"', "of no format that is read"], {"annotations": ["*.csv"]}),
    "a symbol that is not in the mapping": ("a.phn", "0 8000 zz\n", ['the symbol "zz" is not in data.symbols'], {"symbols": "timit39"}),
    "a mapping that does not exist": ("a.phn", "0 8000 a\n", ['data.symbols = "none.csv": must be "timit39", or the path'], {"symbols": "none.csv"}),
    "a group that was not found": ("a.phn", "0 8000 a\n", ['data.groups = "speaker": no such column'], {"groups": ["speaker"]}),
    "a pattern that leaves out nothing": ("a.phn", "0 8000 a\n", ['data.leave_out = "x*": matches no clip id'], {"leave_out": ["x*"]}),
    "a pattern that leaves out everything": ("a.phn", "0 8000 a\n", ["leaves out every recording"], {"leave_out": ["*"]}),
}  # fmt: skip


@pytest.mark.parametrize("case", ANNOTATIONS)
def test_a_bad_annotation_is_refused(root, sounds, case):
    name, content, parts, *settings = ANNOTATIONS[case]
    (root / "a.wav").write_bytes(sounds[0])
    (root / "b.wav").write_bytes(sounds[1])
    (root / name).write_text(content)
    text = message(**(settings[0] if settings else {}))
    assert all(part in text for part in parts), text


def test_notes_that_last_longer_than_the_recording_are_refused(root, sounds):
    (root / "a.wav").write_bytes(sounds[0])
    scores.write_notes(root / "a.mid", {"": [(0.5, 3.0, 60)]})
    assert "a.wav: notes reach 3.000 s, but the recording ends at 1.000 s" in message()


FOLDERS = {  # files (a number is a recording), what the message says, settings
    "no recordings": ({"readme.md": "hello"}, ["mine: contains no recordings (.aif", "put them there"]),
    "recordings that nobody reads": ({"anna/a.m4a": 0, "b.M4A": 1}, ["mine: contains no recordings", "it has 2 .m4a files, such as anna/a.m4a: convert them to WAV or FLAC"]),
    "a recording in no class": ({"cat/a.wav": 0, "b.wav": 1}, ["b.wav: is in no folder, but the folders of the others are the classes"]),
    "tiers that cannot be told, once": ({"a.wav": 0, "b.wav": 1, "a.TextGrid": grid("x", "y"), "b.TextGrid": grid("x", "y")}, ["mine/a.TextGrid: which of its tiers has the phones cannot be told"], {"on_bad": "skip"}),
    "one recording twice": ({"cat/a.wav": 0, "dog/b.wav": 0, "dog/c.wav": 1}, ["1 of 3 recordings are bad: dog/b.wav: ", "has the same content as cat/a.wav"]),
    "one name twice": ({"cat/a.wav": 0, "cat/a.aiff": 1, "dog/c.wav": 2}, ["clip_id cat/a is already used in cat/a.aiff"]),
    "a recording that is none": ({"cat/a.wav": "hello", "dog/c.wav": 1}, ["1 of 2 recordings are bad: cat/a.wav: ", "cannot be read as sound"]),
    "classes in two cases": ({"cat/a.wav": 0, "Cat/b.wav": 1, "dog/c.wav": 2}, ['label: "Cat" (Cat/b.wav) and "cat" (cat/a.wav): probably one name'], {"label": "label"}),
    "a label of annotated recordings": ({"cat/a.wav": 0, "cat/a.phn": "0 8000 a", "dog/b.wav": 1}, ['data.label = "label": no such column'], {"label": "label"}),
    "metadata without file_name": ({"metadata.csv": "file,label\na.wav,x\n", "a.wav": 0}, ["metadata.csv: has no column file_name; did you mean file?; it has file, label"]),
    "metadata of absent files": ({"metadata.csv": "file_name,label\ngone.wav,x\n", "a.wav": 0}, ["row 1: ", "gone.wav: no such file"]),
    "metadata with ragged rows": ({"metadata.csv": "file_name,label\na.wav,x,y\n", "a.wav": 0}, ["metadata.csv: row 1 has 3 cells"]),
    "a file in place of a folder": ({}, ["is a file, not a folder", 'data.dataset = "manifest"'], {"folder": "mine.csv"}),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder_is_refused(root, sounds, case):
    contents, parts, *settings = FOLDERS[case]
    Path("mine.csv").write_text("path\n")
    for name, content in contents.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(sounds[content] if isinstance(content, int) else str(content).encode())
    text = message(**(settings[0] if settings else {}))
    assert all(part in text for part in parts), text


def test_a_folder_that_is_missing_is_said_with_its_source(root):
    with pytest.raises(
        MissingData, match=r'data.folder = "none": no such folder in .* or data; published at X'
    ):
        read(folder="none", source="X")


def test_bad_recordings_can_be_left_out_and_are_counted(root, sounds):
    for name, number in {"a.wav": 0, "b.wav": 1, "c.wav": 2}.items():
        (root / name).write_bytes(sounds[number])
        (root / name).with_suffix(".phn").write_text("0 8000 a\n" if name != "b.wav" else "x\n")
    (root / "d.wav").write_text("hello")
    table = read(on_bad="skip", leave_out=["c"])
    assert table["clip_id"].tolist() == ["a"]
    assert table.attrs["left_out"] == {"annotation": 1, "named": 1, "unreadable": 1}
