"""What heads learn of a clip, worked by hand on grids of a tenth of a second."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data.scores import KEYS
from audiomtl.errors import UserError
from audiomtl.families.multitask import steps
from audiomtl.families.multitask.examples import classes_of, target
from audiomtl.families.multitask.heads.melody import REST, keys_of
from audiomtl.families.multitask.heads.segments import activity
from tests.small_multitask import grid

TENTHS = np.arange(6) * 0.1  # (6,) seconds


def row(**columns):
    """Six tenths of a second: pause, a, b for two, pause."""
    return {"clip_id": "one", "event": "dog", "phones": ["_", "a", "b", "_"], "starts": [0.0, 0.1, 0.2, 0.4], "ends": [0.1, 0.2, 0.4, 0.6],
            "notes": ((0.1, 0.3, 60),), "passages": ((0.1, 0.3),), "age": 3, "tags": ["dog", "cow"], **columns}  # fmt: skip


def target_of(name: str, clip, names=(), n_frames: int = 6, some=None):
    some = some or grid()
    return target(name, some.heads[name], clip, n_frames, names, some, None)


def test_activity_counts_steps_that_are_half_filled() -> None:
    """Steps of 0.2 s: 0.29 to 0.71 s fills half of the second, all of the third, half of the fourth.

    0.95 to 1 s too little.
    """
    found = activity([(0.29, 0.71), (0.95, 1.0)], 1, 12, 3, grid(2, 1))
    assert found.shape == (6, 3) and found[:, 1].tolist() == [0, 1, 1, 1, 0, 0] and not found[:, [0, 2]].any()
    assert not activity([], 1, 12, 3, grid(2, 1)).any()
    two = activity([(0.2, 0.25), (0.3, 0.36)], 0, 4, 1, grid(2, 1))  # 0.05 s and 0.06 s of one step
    assert two[:, 0].tolist() == [0, 1]


def test_a_melody_is_a_key_or_rest() -> None:
    """A time belongs to the nearest step, halfway to the later one: 0.35 s to step 4."""
    found = keys_of([(0.1, 0.3, 60), (0.35, 0.5, 62)], TENTHS, "one")
    assert found.tolist() == [REST, 39, 39, REST, 41, REST]  # 60 - 21, 62 - 21
    assert keys_of([(0.1, 0.3, 21), (0.3, 0.5, 108)], TENTHS, "one").tolist() == [REST, 0, 0, 87, 87, REST]
    assert keys_of([], TENTHS, "one").tolist() == [REST] * 6
    # on 0.05, 0.15 ... it is held at 0.35 and 0.45 s
    late = keys_of([(0.34, 0.56, 60)], TENTHS + 0.05, "one")
    assert late.tolist() == [REST, REST, REST, 39, 39, REST]


def test_positions_of_a_text_with_pauses() -> None:
    """Positions of a b: _ 0, a 1, _ 2, b 3, _ 4; behind the last phone is the last pause."""
    assert target_of("text", row()).tolist() == [0, 1, 3, 3, 4, 4]
    inner = row(phones=["a", "_", "b"], starts=[0.0, 0.1, 0.3], ends=[0.1, 0.3, 0.5])
    assert target_of("text", inner).tolist() == [1, 2, 2, 3, 3, 4]
    some = grid(text={"kind": "alignment", "column": "phones"})
    some = some.model_copy(update={"inputs": some.inputs.model_copy(update={"text": "given"})})
    # pauses are not compared
    assert target_of("text", row(given=["a", "_", "b"]), some=some).tolist() == [
        0,
        1,
        3,
        3,
        4,
        4,
    ]
    assert target_of("text", row(given=None), some=some) is None
    with pytest.raises(
        UserError,
        match=r'heads\.text: clip one: the text of inputs\.text = "given" differs from the labelled phones',
    ):
        target_of("text", row(given=["a", "c"]), some=some)


def test_a_text_longer_than_its_sound_is_refused() -> None:
    assert len(target_of("text", row(), n_frames=2)) == 2
    with pytest.raises(
        UserError,
        match=r"clip one: a text of 2 phones is longer than the recording of 1 steps \(0\.100 s each\)",
    ):
        target_of("text", row(), n_frames=1)


# ---------------------------------------------------------------- targets


def test_each_kind_by_hand() -> None:
    assert target_of("phones", row(), ("_", "a")).tolist() == [0, 1, -1, -1, 0, 0]  # no train clip has b
    # no phone there
    assert target_of("phones", row(), ("_", "a", "b"), n_frames=8).tolist() == [
        0,
        1,
        2,
        2,
        0,
        0,
        -1,
        -1,
    ]
    assert target_of("melody", row()).tolist() == [REST, 39, 39, REST, REST, REST]
    assert np.array_equal(target_of("voice", row()), steps.rolls(row()["notes"], TENTHS, "one"))
    assert target_of("activity", row(), ("cat", "dog")).tolist() == [
        [0, 0],
        [0, 1],
        [0, 1],
        [0, 0],
        [0, 0],
        [0, 0],
    ]
    assert (
        int(target_of("event", row(), ("cat", "dog"))) == 1
        and int(target_of("event", row(event="cow"), ("cat", "dog"))) == -1
    )
    assert float(target_of("age", row(age=2.5))) == 2.5


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("text", "phones"),
        ("phones", "phones"),
        ("melody", "notes"),
        ("voice", "notes"),
        ("event", "event"),
        ("activity", "passages"),
        ("age", "age"),
        ("labels", "tags"),
    ],
)
def test_what_is_absent_is_not_known(name, column) -> None:
    for absent in (None, float("nan")):
        assert target_of(name, row(**{column: absent}), ("cat", "dog")) is None


REFUSED = {
    "two notes at once": (
        "melody",
        {"notes": ((0.0, 0.3, 60), (0.2, 0.4, 62))},
        r"clip one: the notes 60 .* and 62 .* overlap",
    ),
    "overlap on a key": (
        "voice",
        {"notes": ((0.0, 0.3, 60), (0.2, 0.4, 60))},
        r"clip one: the notes 60 .* overlap on one key",
    ),
    "below the keys": (
        "melody",
        {"notes": ((0.0, 0.3, 20),)},
        r"clip one: the note 20 .* is outside the 88 keys",
    ),
    "above the keys": (
        "voice",
        {"notes": ((0.0, 0.3, 109),)},
        r"clip one: the note 109 .* is outside the 88 keys",
    ),
    "no number": (
        "age",
        {"age": "old"},
        r"heads\.age: clip one has age = 'old'; a head of kind value needs a number",
    ),
    "a text for tags": (
        "labels",
        {"tags": "dog"},
        r"heads\.labels: clip one has 'dog': .*must be a list of classes, such as",
    ),
    "a tag that is no name": (
        "labels",
        {"tags": ["dog", 0.5]},
        r"heads\.labels: clip one has \['dog', 0\.5\]: .*must be a list of classes, but one is 0\.5",
    ),
    "an unseen class": (
        "activity",
        {"event": "cow"},
        r"heads\.activity: clip one has the class cow, which no train clip has",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what) -> None:
    name, columns, words = REFUSED[what]
    with pytest.raises(UserError, match=words):
        target_of(name, row(**columns), ("cat", "dog"))
    if what == "two notes at once":
        assert target_of("voice", row(**columns))[:, KEYS:].sum() == 5  # two voices may


# ---------------------------------------------------------------- vocabularies


def test_classes_are_sorted_and_from_the_clips_given() -> None:
    some = grid()
    table = pd.DataFrame(
        [row(), row(clip_id="two", event="cat", phones=["c", "a"]), row(clip_id="three", phones=None)]
    )
    table["vocals_path"] = "x"
    names = {name: classes_of(name, head, table, some) for name, head in some.heads.items()}
    assert names.pop("phones") == ("_", "a", "b", "c") and names.pop("event") == names.pop("activity") == (
        "cat",
        "dog",
    )
    assert names.pop("labels") == ("cow", "dog")
    assert set(names.values()) == {()}
    for name, column in (
        ("text", "ends"),
        ("vocals", "vocals_path"),
        ("age", "age"),
        ("activity", "passages"),
    ):
        with pytest.raises(
            UserError, match=rf"heads\.{name}: kind .* needs a column {column}, which data\.dataset"
        ):
            classes_of(name, some.heads[name], table.drop(columns=column), some)
    with pytest.raises(
        UserError, match=r"heads\.event: every clip has the same class \(dog\); at least two are needed"
    ):
        classes_of("event", some.heads["event"], table[table["event"] == "dog"], some)
