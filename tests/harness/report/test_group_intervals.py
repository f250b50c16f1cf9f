"""Test scores for new groups from the predictions of several seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.harness.report import group_intervals, tables

PROJECT = Path(__file__).parents[3]


def load(name: str):
    """An experiment; mil_emodb with speakers and sentences held out in four blocks."""
    file = config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml"))
    if name != "mil_emodb":
        return file
    blocks = {"kind": "blocks", "test_values": [2, 2], "validation_values": [2, 1], "rotations": 4}
    changes = {f"protocol.{key}": value for key, value in blocks.items()}
    changes |= {"data.groups": ["speaker", "sentence"], "seeds": [1, 2, 3, 4, 5, 6, 8, 11], "study_seed": 7}
    raw = config.override(file.raw, changes)
    return replace(file, raw=raw, settings=config.settings_of(raw, name))


def predictions(blocks: int, speakers: int, seed: int) -> list[pd.DataFrame]:
    """One table per block, each with its own speakers and sentences, 5 in 6 clips right."""
    random, found = np.random.default_rng(seed), []
    for block in range(blocks):
        number = np.arange(12)
        truth = np.array(["anger", "joy"])[number % 2]
        wrong = random.random(12) < 1 / 6
        table = pd.DataFrame({"clip_id": [f"{block}_{one}" for one in number], "truth": truth})
        table["predicted"] = np.where(wrong, "fear", truth)
        table["speaker"] = [f"s{block * speakers + one % speakers}" for one in number]
        table["sentence"] = [f"t{block * 4 + one % 4}" for one in number]
        table["edits"], table["phones"] = wrong * 3, 10
        found.append(table)
    return found


def test_each_clip_counts_once_and_limits_are_for_new_speakers_and_sentences():
    tables_of_seeds = predictions(4, 2, 0) + predictions(4, 2, 1)  # two seeds per block
    found = group_intervals.headline(load("mil_emodb"), tables_of_seeds, [0, 1, 2, 3] * 2)
    assert list(found.scores) == ["accuracy", "balanced_accuracy"]
    one = found.scores["accuracy"]
    every = pd.concat(tables_of_seeds)
    right = (every["truth"] == every["predicted"]).groupby(every["clip_id"]).mean()
    assert one.clips == 48 and one.value == pytest.approx(right.mean())
    assert 0 < one.low < one.value < one.high < 1
    assert found.text == (
        "95 % intervals for new groups, from 48 test clips of 8 values of speaker and 16 values of sentence,"
        " clustered by each; the spread over the seeds of a fold is included."
    )
    alone = group_intervals.headline(load("mil_emodb"), tables_of_seeds)  # as if each were a fold of its own
    assert alone.scores["accuracy"].low > one.low and "is not known" in alone.text
    assert str(tables.for_new_groups(found.scores)).splitlines()[2] == (
        f"| accuracy | {one.value:.4f} | [{one.low:.4f}, {one.high:.4f}] |"
    )


def test_an_error_rate_divides_all_errors_by_all_symbols_and_can_exceed_1():
    made = [table.assign(edits=table["edits"] * 10) for table in predictions(4, 2, 0)]
    found = group_intervals.headline(load("ctc_emodb"), made)
    one = found.scores["phone_error_rate"]
    every = pd.concat(made)
    assert one.value == pytest.approx(every["edits"].sum() / every["phones"].sum())
    assert 0 < one.low < one.value < one.high and one.high > 1
    assert "frame_accuracy" not in found.scores  # no counts


def test_too_few_speakers_have_no_interval_and_the_reason_is_told():
    found = group_intervals.headline(load("mil_emodb"), predictions(1, 3, 0))
    assert np.isnan(found.scores["accuracy"].low)
    assert found.text == (
        "No interval for new speaker and sentence: only 3 values of speaker and 4 values of"
        " sentence were tested; at least 5 are needed."
    )


def test_nothing_is_said_without_predictions_or_without_columns():
    assert group_intervals.headline(load("mil_emodb"), []) is None
    assert group_intervals.headline(load("mil_emodb"), [pd.DataFrame({"clip_id": ["a"]})]) is None
    without = [table.drop(columns=["speaker", "sentence"]) for table in predictions(2, 2, 0)]
    told = group_intervals.headline(load("mil_emodb"), without).text
    assert told == "No interval for new groups: no groups are known."
