"""What is asked about: files, folders, tables; and what `predict` makes of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.errors import UserError
from audiomtl.harness.use.inputs import asked
from audiomtl.harness.use.models import opened
from audiomtl.harness.use.predict import Request, predict


@pytest.fixture
def mil(saved, here) -> str:
    return str(saved / "mil")


def said(capsys, model: str, *sources, **options) -> tuple[bool, str, str]:
    complete = predict(model, Request([Path(one) for one in sources], **options))
    out, err = capsys.readouterr()
    return complete, out, err


def test_files_folders_and_tables(saved, mil, capsys) -> None:
    sounds = saved / "sounds"
    of_folder, of_table = asked([sounds], opened(mil))[0], asked([sounds / "clips.parquet"], opened(mil))[0]
    assert [one.path for one in of_folder] == sorted(sounds.glob("*.wav"))
    assert [one.name for one in of_table] == [f"clip_{number:02}" for number in range(30)]
    assert [one.path for one in of_table] == [one.path for one in of_folder]
    assert of_table[3].columns["kind"] == "a"
    _, one, _ = said(capsys, mil, sounds / "03.wav", to="jsonl")
    _, table, _ = said(capsys, mil, sounds / "clips.parquet", to="jsonl")
    assert json.loads(one)["answers"] == json.loads(table.splitlines()[3])["answers"]


def test_a_file_that_cannot_be_read_costs_that_file_only(saved, mil, here, capsys) -> None:
    (here / "text.wav").write_text("no sound")
    soundfile.write(here / "empty.wav", np.empty(0), 16000)
    files = [here / "text.wav", saved / "sounds" / "00.wav", here / "empty.wav", here / "none.wav"]
    complete, out, err = said(capsys, mil, *files)
    assert not complete and len(out.splitlines()) == 1 and "00.wav: " in out
    assert [line.count("audiomtl: ") for line in err.splitlines()] == [0, 1, 1, 1]
    table = pd.DataFrame({"path": ["text.wav", str(saved / "sounds" / "00.wav")]})
    table.to_csv(here / "some.csv", index=False)
    complete, out, _ = said(capsys, mil, here / "some.csv")
    assert not complete and "text.wav" in out and out.splitlines()[-1].count("0.") == 3


def test_padding_is_said(mil, here, capsys) -> None:
    soundfile.write(here / "click.wav", np.full(16, 0.1), 16000)
    complete, out, err = said(capsys, mil, here / "click.wav")
    assert complete and out and "click.wav: padded from 0.001 s to 0.3 s" in err


@pytest.mark.parametrize("to", ["textgrid", "labels"])
def test_formats_of_one_recording_are_files_beside_each_other(saved, mil, here, to, capsys) -> None:
    sources = [saved / "sounds" / "00.wav", saved / "sounds" / "01.wav"]
    complete, out, _ = said(capsys, mil, *sources, to=to, folder="out", threshold=0.01)
    names = sorted(path.name for path in (here / "out").iterdir())
    ending = {"textgrid": "TextGrid", "labels": "txt"}[to]
    assert complete and names == [f"00.{ending}", f"01.{ending}"] and out.count("segments") == 2
    with pytest.raises(UserError, match=rf"out/00.{ending}, out/01.{ending}: already exist; use --force"):
        said(capsys, mil, *sources, to=to, folder="out")
    assert said(capsys, mil, *sources, to=to, folder="out", force=True)[0]


def test_one_file_holds_all_recordings_where_the_format_can(saved, mil, here, capsys) -> None:
    assert said(capsys, mil, saved / "sounds", to="all.csv", top=1)[0]
    rows = pd.read_csv("all.csv")
    assert len(rows[rows["answer"] == "classes"]) == 30
    with pytest.raises(UserError, match=r"--to x\.TextGrid: a file holds one recording, but there are 30"):
        predict(mil, Request([saved / "sounds"], to="x.TextGrid"))


def test_scores_over_time(saved, mil, here, capsys) -> None:
    assert said(capsys, mil, saved / "sounds" / "00.wav", over_time="scores")[0]
    table = pd.read_csv(here / "scores" / "00.scores.csv")
    assert list(table.columns) == ["start_seconds", "end_seconds", "a", "b", "c"] and len(table) > 2
    assert (here / "scores" / "00.scores.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ("mil", {"to": "midi"}, "--to midi: holds notes, but .* gives classes, segments; use one of table"),
        ("mil", {"kinds": ("phones",)}, "the model gives classes, segments, but no phones"),
        ("mil", {"head": "segment"}, "--head segment: no such answer; did you mean segments"),
        ("mil", {"threshold": 0.0}, "--threshold 0: must be above 0 and at most 1"),
        ("mil", {"to": "x.xyz"}, r"--to x.xyz: must be table"),
        ("baseline", {"over_time": "x"}, "--over-time: .* gives classes, but no scores over time"),
        ("baseline", {"stream": "x"}, "--stream: .* gives classes, but no scores over time"),
        ("nothing", {}, "experiments/nothing.toml: no such file"),
    ],
)
def test_mistakes_before_any_work(saved, here, model, options, reason) -> None:
    place = str(saved / model) if model != "nothing" else model
    with pytest.raises(UserError, match=reason) as error:
        predict(place, Request([Path("a.wav")], **options))
    assert "\n" not in str(error.value) and not list(here.glob("x*"))


def test_places_without_recordings_are_refused(saved, mil, here) -> None:
    (here / "nothing").mkdir()
    with pytest.raises(UserError, match="no recordings in this folder"):
        asked([here / "nothing"], opened(mil))
    np.save(here / "a.npy", np.zeros((3, 4)))
    pd.DataFrame({"embedding_path": ["a.npy"]}).to_csv(here / "stored.csv", index=False)
    with pytest.raises(UserError, match="has stored arrays, but the model reads sound"):
        asked([here / "stored.csv"], opened(mil))
