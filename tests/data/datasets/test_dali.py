"""DALI: on annotations made here, harmful and broken ones among them, and on the real ones where they are."""

import gzip
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import catalog
from audiomtl.data.datasets import dali
from audiomtl.data.datasets.dali import Settings as Dali
from audiomtl.errors import UserError
from tests.data.datasets.published import check_missing, real, sound

SETTINGS = Dali(dataset="dali", label="artist", groups=[])


def test_a_set_that_is_not_there_is_missing_and_says_where_it_belongs(tmp_path):
    check_missing(dali, SETTINGS, tmp_path)


class Shell:
    """Pickled under the name of DALI's class."""


def annotation(path: Path, notes: list[tuple[float, float, float]], found: object = None, **more) -> None:
    """An annotation file as DALI writes it: a pickle, protocol 2, of an object of ``DALI.Annotations``."""
    spans = [
        {"text": f"la{n}", "time": [on, off], "freq": [hertz, hertz], "index": n}
        for n, (on, off, hertz) in enumerate(notes)
    ]
    info = {"artist": "A", "title": "T", "metadata": {"language": "english"}, "scores": {"NCC": 0.9}}
    shell = Shell()
    shell.__dict__.update(
        {
            "info": info,
            "annotations": {"type": "horizontal", "annot": {"notes": spans, "words": spans}},
            **more,
        }
    )
    module = types.ModuleType("DALI.Annotations")
    module.Annotations = Shell
    old, names = (
        {name: sys.modules.get(name) for name in ("DALI", "DALI.Annotations")},
        (Shell.__module__, Shell.__qualname__),
    )
    try:
        sys.modules.update({"DALI": types.ModuleType("DALI"), "DALI.Annotations": module})
        Shell.__module__, Shell.__qualname__ = "DALI.Annotations", "Annotations"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(pickle.dumps(shell if found is None else found, protocol=2)))
    finally:
        Shell.__module__, Shell.__qualname__ = names
        for name, one in old.items():
            sys.modules.pop(name) if one is None else sys.modules.update({name: one})


def dali_layout(root: Path) -> None:
    annotation(root / "annotations" / "good.gz", [(0.1, 0.2, 440.0), (0.2, 0.3, 452.0)])
    annotation(root / "annotations" / "chord.gz", [(0.1, 0.2, 440.0), (0.15, 0.3, 220.0)])
    annotation(root / "annotations" / "zero.gz", [(0.1, 0.2, 0.0)])
    annotation(root / "annotations" / "absent.gz", [])
    for name in ("good", "chord", "zero"):
        sound(root / "audio" / f"{name}.mp3", 0.5, format="MP3")


def test_dali_is_read_and_what_is_left_out_is_told(tmp_path, capsys):
    dali_layout(tmp_path / "dali")
    table = dali.clips(SETTINGS, tmp_path)
    assert table["clip_id"].tolist() == ["good"] and table.attrs["left_out"] == {"missing": 1, "notes": 2}
    row = table.iloc[0]
    assert (
        row["notes"] == ((0.1, 0.2, 69), (0.2, 0.3, 69))
        and row["words"] == ["la0", "la1"]
        and row["word_ends"] == [0.2, 0.3]
    )
    assert (row["artist"], row["language"], row["alignment"], row["text"]) == ("A", "english", 0.9, "la0 la1")
    assert (
        "1 songs are left out, missing: absent" in (out := capsys.readouterr().out)
        and "2 songs are left out, notes: chord, zero" in out
    )


def test_no_note_or_word_ends_behind_the_recording(tmp_path, capsys):
    dali_layout(tmp_path / "dali")
    later = [(0.1, 0.2, 440.0), (0.4, 0.7, 440.0), (0.7, 0.8, 440.0)]
    annotation(tmp_path / "dali" / "annotations" / "good.gz", later)
    row = dali.clips(SETTINGS, tmp_path).iloc[0]
    assert row["seconds"] == 0.5 and row["notes"] == ((0.1, 0.2, 69), (0.4, 0.5, 69))
    assert row["words"] == ["la0", "la1"] and row["word_ends"] == [0.2, 0.5] and row["text"] == "la0 la1"
    assert "DALI: 1 songs end before their notes or words do: good\n" in capsys.readouterr().out


class Harmful:
    """What a pickle can do that is loaded without care."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Harmful(), r"bad.gz: refers to posix.mkdir, but only DALI.Annotations.Annotations is allowed"),
        (np.float64(1.0), r"bad.gz: refers to numpy"),
        ({"a": 1}, r"bad.gz: is not a DALI annotation"),
    ],
)
def test_a_pickle_of_anything_else_is_refused_by_name_and_does_nothing(tmp_path, monkeypatch, found, message):
    monkeypatch.chdir(tmp_path)
    annotation(tmp_path / "bad.gz", [], found)
    with pytest.raises(UserError, match=message):
        dali.read(tmp_path / "bad.gz")
    annotation(tmp_path / "bad.gz", [], more=found)
    if not isinstance(found, dict):
        with pytest.raises(UserError, match=message):
            dali.read(tmp_path / "bad.gz")
    assert not (tmp_path / "harmed").exists()


def test_broken_annotations_are_refused_in_one_line(tmp_path):
    path = tmp_path / "bad.gz"
    annotation(path, [(0.1, 0.2, 440.0)])
    whole = path.read_bytes()
    plain = gzip.decompress(whole)
    rng = np.random.default_rng(0)
    broken = [b"", b"no gzip", whole[:-20], gzip.compress(b""), gzip.compress(b"no pickle")]
    broken += [gzip.compress(plain[:cut]) for cut in rng.integers(1, len(plain), 20)]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"bad.gz: cannot be read as a DALI annotation \(.+\)"):
            dali.read(path)


def test_an_annotation_without_a_field_is_refused(tmp_path):
    dali_layout(tmp_path / "dali")
    annotation(tmp_path / "dali" / "annotations" / "good.gz", [], annotations={"annot": {"words": []}})
    with pytest.raises(
        UserError,
        match=r"good.gz: an annotation needs info and annot with words and notes \(KeyError\('notes'\)\)",
    ):
        dali.clips(SETTINGS, tmp_path)


def test_the_real_dali_whose_recording_was_cut(capsys):
    table = dali.clips(SETTINGS, real("dali"))
    assert table["words"].tolist() == [[]] and table["notes"].tolist() == [()]  # all begin behind its end
    assert "1 songs end before their notes or words do" in capsys.readouterr().out and catalog.fingerprint(
        table
    )
