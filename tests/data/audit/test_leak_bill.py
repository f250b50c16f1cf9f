"""The leak bill on rows of numbers whose leaks are known."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data.audit import divisions, leak_bill
from audiomtl.data.audit.divisions import Task

SPEAKERS, SENTENCES = 20, 10


def crossed(kind: str, leak: str) -> tuple[np.ndarray, Task, dict[str, np.ndarray]]:
    """Every speaker says every sentence; the class is drawn per speaker or sentence (``leak``), whose own
    numbers are in the rows, or follows from the rows alone ("").
    """
    random = np.random.default_rng(3)
    speaker, sentence = (each.ravel() for each in np.mgrid[:SPEAKERS, :SENTENCES])
    rows = 0.3 * random.standard_normal((len(speaker), 20))
    who, what = random.standard_normal((SPEAKERS, 8)), random.standard_normal((SENTENCES, 8))
    rows[:, :8] += who[speaker]
    rows[:, 8:16] += what[sentence]
    truth = random.standard_normal(len(rows))
    truth = {"speaker": truth[:SPEAKERS][speaker], "sentence": truth[:SENTENCES][sentence], "": truth}[leak]
    if not leak:
        rows[:, 16] = truth
    if kind == "value":
        target: np.ndarray = truth
    else:
        target = (truth > np.median(truth)).astype(int)
        target = np.stack([target, 1 - target], axis=1).astype(float) if kind == "tags" else target
    groups = {"speaker": speaker.astype(str), "sentence": sentence.astype(str)}
    return rows, Task(kind, target, () if kind == "value" else ("no", "yes")), groups


UNSEEN = ["unseen speaker", "unseen sentence", "unseen speaker and sentence"]


@pytest.mark.parametrize(
    ("kind", "leak"),
    [("class", "sentence"), ("class", ""), ("tags", "speaker"), ("value", "speaker"), ("value", "sentence")],
)
def test_a_leak_is_priced_where_it_is(kind, leak):
    rows, task, groups = crossed(kind, leak)
    seen = leak_bill.bill(rows, divisions.design(task, groups), repetitions=1)
    price = {one.name: one for one in seen.prices}
    assert list(price) == ["random split", *UNSEEN]
    assert price["random split"].score > seen.chance + 0.1
    for name in UNSEEN:
        assert price[name].drop > 0.25 if leak and leak in name else price[name].drop < 0.1
    assert all(one.interval[0] <= one.score <= one.interval[1] for one in seen.prices)


def test_every_clip_is_predicted_once_from_strangers():
    _, task, groups = crossed("class", "")
    plan = divisions.design(task, groups)
    for name, folds in plan.divisions:
        held_out = [column for column in groups if column in name]
        predicted = np.zeros(len(task.target), int)
        for train, test in folds(np.random.default_rng(0)):
            predicted[test] += 1
            assert not set(train) & set(test)
            for column in held_out:
                assert not set(groups[column][train]) & set(groups[column][test])
        assert predicted.tolist() == [1] * len(predicted), name


def test_groups_within_groups_are_not_crossed():
    song = np.arange(60) // 2
    task = Task("class", np.arange(60) // 2 % 3, ("a", "b", "c"))
    plan = divisions.design(task, {"artist": (song // 2).astype(str), "song": song.astype(str)})
    sizes = {name: len(next(folds(np.random.default_rng(0)))[0]) for name, folds in plan.divisions}
    assert sizes["unseen artist and song"] >= 40  # 4/5, not 3/4 of 3/4


def test_columns_that_hold_nothing_out_are_no_row():
    task = Task("class", np.arange(60) % 2, ("a", "b"))
    columns = {"clip": np.arange(60), "speaker": np.arange(60) // 6, "corpus": np.zeros(60)}
    plan = divisions.design(task, {name: values.astype(str) for name, values in columns.items()})
    assert [name for name, _ in plan.divisions] == ["random split", "unseen speaker"]
    assert len(plan.remarks) == 2


@pytest.mark.parametrize(
    ("target", "groups", "words"),
    [
        ([0, 1] * 5, {}, "10 clips are too few"),
        ([0, 1] * 20, {"speaker": ["x", "y"] * 20}, "fewer than two classes"),
        ([0] * 40, {}, "fewer than two classes"),
    ],
)
def test_no_bill_says_why(target, groups, words):
    plan = divisions.design(
        Task("class", np.array(target), ("a", "b")), {name: np.array(some) for name, some in groups.items()}
    )
    assert isinstance(plan, str) and words in plan


def test_classes_of_one_group_are_left_out_of_every_row():
    target = np.array([0, 1, 2] * 20)
    speaker = np.where(target == 2, "z", np.arange(60) // 3 % 7).astype(str)
    plan = divisions.design(Task("class", target, ("a", "b", "c")), {"speaker": speaker})
    assert plan.left_out == ("c",) and plan.task.classes == ("a", "b") and len(plan.kept) == 40
    assert plan.task.chance == 0.5


@pytest.mark.parametrize(
    ("cells", "kind"), [(["a", "b"], "class"), ([("a",), ("a", "b")], "tags"), ([0.5, 1.5], "value")]
)
def test_labels_become_targets(cells, kind):
    task = divisions.task_of(pd.DataFrame({"label": pd.Series(cells, dtype=object)}), "label", kind)
    expected = {"class": [0, 1], "tags": [[1.0, 0.0], [1.0, 1.0]], "value": [0.5, 1.5]}
    assert task.target.tolist() == expected[kind]


@pytest.mark.parametrize(
    ("score", "words"), [(0.591, ".59"), (1.0, "1.00"), (-0.12, "-.12"), (0.996, "1.00")]
)
def test_scores_are_short(score, words):
    assert leak_bill.short(score) == words
