"""What is asked about: files, folders, tables; and what `predict` makes of them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.errors import UserError
from audiomtl.harness.use.inputs import asked, clips_of_table
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
    complete, out, err = said(capsys, mil, here / "some.csv", to="jsonl")
    assert not complete and "text.wav" in err and [json.loads(line) for line in out.splitlines()]


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
    with pytest.raises(UserError, match=r"^pairs\.csv: no such table$"):
        asked(["pairs.csv"], opened(mil))
    (here / "nothing").mkdir()
    with pytest.raises(UserError, match="no recordings in this folder"):
        asked([here / "nothing"], opened(mil))
    np.save(here / "a.npy", np.zeros((3, 4)))
    pd.DataFrame({"embedding_path": ["a.npy"]}).to_csv(here / "stored.csv", index=False)
    with pytest.raises(UserError, match="has stored arrays, but the model reads sound"):
        asked([here / "stored.csv"], opened(mil))
    with pytest.raises(UserError, match=r"^store\.csv: no such table; did you mean stored\.csv\?$"):
        asked(["store.csv"], opened(mil))
    (here / "recordings").mkdir()
    with pytest.raises(UserError, match=r"^recordngs: no such file or folder; did you mean recordings\?$"):
        asked([Path("recordngs")], opened(mil))


# ---------------------------------------------------------------- odd sound


@pytest.mark.parametrize("model", ["mil", "baseline"])
@pytest.mark.parametrize(
    ("y", "told"),
    [
        (
            np.zeros(16000),
            "digital silence: no sample is above 1/32768 of full scale; the answer means nothing",
        ),
        (np.full(16000, 0.25), "every sample is 0.25; the answer means nothing"),
        (np.outer(np.sin(np.arange(16000)) / 4, [1, -1]), "channels in antiphase"),
        (np.outer(np.sin(np.arange(16000)) / 4, [1, 0]), "channel 2 of 2 is digital silence"),
        (0.4 + np.sin(np.arange(16000)) / 1000, "a constant offset of 0.4"),
        (np.sin(np.arange(16000)) * (np.arange(16000) < 1000), "92% of it is below -60 dB"),
        (np.sin(np.arange(160)) / 4, "lasts 0.01 s, less than 0.05 s"),
        (np.sin(np.arange(16000)) / 4, ""),
    ],
)
def test_sound_that_says_nothing_is_told(saved, here, model, y, told, capsys) -> None:
    soundfile.write(here / "odd.wav", y, 16000)
    complete, out, err = said(capsys, str(saved / model), here / "odd.wav", to="jsonl")
    remarks = json.loads(out).get("remarks", [])
    assert complete and [one for one in remarks if told and told in one] == remarks[-1:] * bool(told)
    assert not told or f"odd.wav: {remarks[-1]}" in err


@pytest.mark.parametrize("bad", [np.nan, np.inf, 5.0])
def test_samples_that_are_no_sound_are_refused(saved, mil, here, bad, capsys) -> None:
    y = np.sin(np.arange(16000)) / 4
    y[77] = bad
    soundfile.write(here / "bad.wav", y, 16000, subtype="FLOAT")
    complete, out, err = said(capsys, mil, here / "bad.wav")
    assert not complete and not out and err.splitlines()[-1].startswith("audiomtl: ") and "bad.wav: " in err


# ---------------------------------------------------------------- several inputs


def pictures(here: Path, rows: str) -> Path:
    """A table of pictures and captions, in a folder of its own."""
    (here / "data").mkdir()
    for name in ("a", "b"):
        matplotlib.image.imsave(here / "data" / f"{name}.png", np.zeros((8, 8, 3)))
    np.save(here / "data" / "c.npy", np.zeros((8, 8, 3)))
    (here / "data" / "pairs.csv").write_text(rows)
    return here / "data" / "pairs.csv"


def fusion(rate: int = 0) -> Any:
    """A model that reads pictures and captions, as far as tables see it."""
    data = SimpleNamespace(label="corner", labels="one")
    use = SimpleNamespace(columns=lambda settings: ("path", "caption"), LACKING=True)
    return SimpleNamespace(use=use, settings=SimpleNamespace(data=data), sample_rate=rate)


def test_a_row_may_lack_inputs_and_share_a_picture(here) -> None:
    rows = "path,caption\na.png,where is it\na.png,find the red\nc.npy,look\n,words alone\nb.png,\n"
    found, lost = asked([pictures(here, rows)], fusion())
    assert [one.name for one in found] == ["a (row 1)", "a (row 2)", "c", "row 4", "b"] and lost == 0
    own = [one.columns["path"] for one in found]
    assert own == [
        str(here / "data" / name) if name else None for name in ("a.png", "a.png", "c.npy", "", "b.png")
    ]
    assert found[0].columns["caption"] == "where is it" and pd.isna(found[4].columns["caption"])


def test_a_missing_picture_costs_its_row_only(here, capsys) -> None:
    found, lost = asked([pictures(here, "clip_id,path,caption\n007,a.png,x\n008,no.png,y\n")], fusion())
    out, err = capsys.readouterr()
    assert [one.name for one in found] == ["007"] and lost == 1
    assert not out and "row 2" in err and "no.png: no such file" in err


def test_labels_of_several_inputs_are_read(here) -> None:
    place = pictures(here, "path,caption,corner\na.png,x,left\n,y,right\nb.png,z,\n")
    table = clips_of_table(place, fusion(), labelled=True)
    assert table["corner"].tolist() == ["left", "right"] and table["clip_id"].tolist() == ["a", "row 2"]


def test_sound_of_several_inputs_is_checked(here, capsys) -> None:
    soundfile.write(here / "a.wav", np.sin(np.arange(1600)) / 4, 16000)
    (here / "b.wav").write_text("no sound")
    (here / "some.csv").write_text("path,caption\na.wav,x\nb.wav,y\n,z\n")
    found, lost = asked([here / "some.csv"], fusion(16000))
    assert [one.path for one in found] == [here / "a.wav", None] and lost == 1


@pytest.mark.parametrize("source", ["a.png", "data"])
def test_a_model_of_pictures_needs_a_table(here, source) -> None:
    pictures(here, "path\na.png\n")
    with pytest.raises(
        UserError, match=f"{source}: the model reads no sound files; give a table .* path, caption"
    ):
        asked([source], fusion())
