"""Scores of a saved model on other labelled clips."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.errors import UserError
from audiomtl.harness.use.evaluate import evaluate, written
from audiomtl.harness.use.models import opened


def other(saved, here, **changed) -> str:
    """A table of the clips with other columns."""
    table = pd.read_parquet(saved / "sounds" / "clips.parquet")
    table["path"] = [str(saved / "sounds" / path) for path in table["path"]]
    table.assign(**changed).to_parquet(here / "other.parquet")
    return str(here / "other.parquet")


def test_scores_are_those_of_the_predictions_and_have_intervals_over_groups(saved, here) -> None:
    found = evaluate(opened(str(saved / "mil")), other(saved, here, shelf=list(range(30))))
    scores = found.scores.set_index("score")
    made = found.tables["predictions"]
    right = (made["truth"] == made["predicted"]).to_numpy()
    assert found.clips == len(made) == 30 and found.groups == "95 % intervals over 15 values of source"
    assert scores.loc["accuracy", "value"] == pytest.approx(right.mean())
    assert scores.loc["accuracy", "low"] < right.mean() < scores.loc["accuracy", "high"]
    assert made["shelf"].tolist() == list(range(30)) and found.left_out == () == found.remarks


def test_without_groups_the_interval_is_over_clips_and_few_have_none(saved, here) -> None:
    table = pd.read_parquet(other(saved, here)).drop(columns="source")
    table.to_parquet("clips.parquet")
    loaded = opened(str(saved / "baseline"))
    assert evaluate(loaded, "clips.parquet").groups == "95 % intervals over 30 clips"
    table[:4].to_parquet("few.parquet")
    few = evaluate(loaded, "few.parquet")
    assert few.groups == "no intervals: 4 clips are too few, 5 are needed" and few.scores["low"].isna().all()
    # all are right: nothing is known of the spread, and each clip counts as one answer
    accuracy = evaluate(loaded, "clips.parquet").scores.set_index("score").loc["accuracy"]
    assert accuracy["low"] == pytest.approx(0.025 ** (1 / 30)) and accuracy["high"] == 1


def test_unknown_classes_are_named_and_left_out(saved, here) -> None:
    table = pd.read_parquet(other(saved, here))
    table.loc[[0, 7], "kind"] = "siren"
    table.to_parquet("clips.parquet")
    said = written(str(saved / "baseline"), "clips.parquet", seed=None, to="out.csv", force=False)
    assert "on 28 clips" in said and "2 clips whose labels the model does not know: clip_00, clip_07" in said
    assert len(pd.read_csv("out.csv")) == 28 and said.endswith("out.csv written")
    with pytest.raises(UserError, match=r"out\.csv: already exists"):
        written(str(saved / "baseline"), "clips.parquet", seed=None, to="out.csv", force=False)


def test_odd_recordings_are_counted_and_the_first_ones_named(saved, here) -> None:
    table = pd.read_parquet(other(saved, here))
    for number in range(7):
        soundfile.write(here / f"{number}.wav", np.zeros(32000 + number), 16000)
        table.loc[number, "path"] = str(here / f"{number}.wav")
    soundfile.write(here / "loud.wav", np.clip(4 * np.sin(np.arange(32000)), -1, 1), 16000)
    table.loc[9, "path"] = str(here / "loud.wav")  # as in predict, clipping gets no remark
    table.to_parquet("clips.parquet")
    said = written(str(saved / "baseline"), "clips.parquet", seed=None, to="", force=False)
    [line] = [line for line in said.splitlines() if " odd: " in line]
    silent = "digital silence: no sample is above 1/32768 of full scale"
    assert line.startswith(f"7 of 30 recordings are odd: clip_00: {silent}; clip_01: {silent}; ")
    assert line.endswith("; and 2 more") and line.count(silent) == 5


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": ["siren"] * 30}, "kind: the model knows none of the classes siren; it knows a, b, c"),
        ({"kind": None}, "no such column"),
        ({"path": [f"no/{number}.wav" for number in range(30)]}, "no such file"),
    ],
)
def test_tables_that_cannot_be_scored(saved, here, changed, reason) -> None:
    table = pd.read_parquet(other(saved, here))
    for name, values in changed.items():
        table = table.drop(columns=name) if values is None else table.assign(**{name: values})
    table.to_parquet("clips.parquet")
    with pytest.raises(UserError, match=reason) as error:
        evaluate(opened(str(saved / "baseline")), "clips.parquet")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"experiments/nothing.toml: no such file"):
        evaluate(opened(str(saved / "baseline")), "nothing")
