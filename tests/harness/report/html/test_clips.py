"""Which clips are listened to."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.harness.report.html.clips import chosen

PROJECT = Path(__file__).parents[4]


def experiment(name: str) -> config.ExperimentFile:
    return config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml"))


def test_classes_are_judged_by_the_probability_of_the_true_one() -> None:
    probability = [0.9, 0.1, 0.52, 0.7, 0.48, 0.99, 0.3]
    rows = {"clip_id": list("abcdefg"), "truth": ["sad"] * 7, "probability_sad": probability}
    table = pd.DataFrame(rows).assign(predicted="sad", margin=[abs(2 * one - 1) for one in probability])
    other = table.assign(probability_sad=0.2).iloc[:1]  # clip a by another seed, which is less sure
    found = chosen(experiment("mil_emodb"), {1: table, 2: other})
    assert [(one.why, one.clip_id, one.seed) for one in found] == [
        ("best", "f", 1),
        ("best", "a", 1),
        ("worst", "b", 1),
        ("worst", "g", 1),
        ("least certain", "c", 1),
        ("least certain", "e", 1),
    ]
    assert found[0].value == "probability of the true class 0.990"
    assert found[4].value.startswith("best less second-best probability 0.040, probability of the true")


def test_the_most_frequent_confusions_are_heard() -> None:
    rows = {
        "clip_id": list("abcdefgh"),
        "truth": ["sad", "sad", "glad", "sad", "sad", "glad", "glad", "glad"],
        "predicted": ["sad", "glad", "glad", "sad", "glad", "sad", "glad", "glad"],
    }
    sad = [0.8, 0.4, 0.1, 0.6, 0.45, 0.7, 0.2, 0.3]
    table = pd.DataFrame(rows).assign(probability_sad=sad, probability_glad=[1 - one for one in sad])
    found = [one for one in chosen(experiment("mil_emodb"), {1: pd.concat([table] * 3)})]
    # f, glad as sad, is worst; b and e are the commoner sad as glad; worst are f and b
    assert [(one.clip_id, one.why) for one in found[2:]] == [
        ("f", "worst"),
        ("b", "worst"),
        ("e", "most confused"),
    ]
    assert found[4].value.startswith("sad as glad 6 times in all, probability of the true class 0.450")
    phones = {
        "clip_id": list("abc"),
        "edits": [1, 2, 1],
        "phones": [3, 3, 3],
        "truth": [np.array(list("mna")), np.array(list("man")), np.array(list("nam"))],
        "predicted": [np.array(list("nna")), np.array(list("nan")), np.array(list("nan"))],
    }
    every = chosen(experiment("ctc_german"), {1: pd.DataFrame(phones).assign(clip_id=list("abc"))})
    assert all(one.why in ("best", "worst") for one in every)  # each clip once
    more = pd.concat([pd.DataFrame(phones)] * 2, ignore_index=True).assign(clip_id=list("abcdef"))
    told = [one for one in chosen(experiment("ctc_german"), {1: more}) if one.why == "most confused"]
    assert told and all(one.value.startswith("m as n 6 times in all, phone error rate") for one in told)


def test_sequences_are_judged_by_their_error_rate() -> None:
    rows = {"clip_id": list("abcd"), "edits": [5, 0, 9, 1], "phones": [10, 10, 10, 100]}
    table = pd.DataFrame(rows).assign(truth=[["x"]] * 4, predicted=[["x"]] * 4)
    found = chosen(experiment("ctc_german"), {1: table})
    assert [(one.why, one.clip_id) for one in found] == [
        ("best", "b"), ("best", "d"), ("worst", "c"), ("worst", "a")]  # fmt: skip
    assert found[2].value == "phone error rate 0.900"


@pytest.mark.parametrize("columns", [{}, {"truth": ["sad"] * 3, "predicted": ["sad"] * 3}])
def test_where_nothing_ranks_clips_the_first_are_taken(columns: dict[str, list[str]]) -> None:
    table = pd.DataFrame({"clip_id": list("cab"), **columns})
    found = chosen(experiment("mil_emodb"), {3: table})
    assert [(one.why, one.clip_id, one.value) for one in found] == [
        ("not ranked", "a", ""),
        ("not ranked", "b", ""),
    ]
