"""Seeds and the folds that they test; unbalanced experiments are refused."""

from types import SimpleNamespace

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.settings.protocol import Protocol
from audiomtl.settings.replicates import check_balanced, folds_of_seeds

BLOCKS = {"kind": "blocks", "test_values": [2], "validation_values": [2]}
COLUMN = {"kind": "folds", "column": "fold"}


def protocol(**values) -> Protocol:
    every = {"column": "", "test_share": 0.2, "validation_share": 0.2, "stratified": False, "folds": 3}
    every |= {"test_values": [], "validation_values": [], "rotations": 1, "leaky": False}
    return Protocol(**{**every, **values})


@pytest.mark.parametrize(
    ("values", "count", "folds"),
    [
        ({"kind": "split"}, 0, [0, 0, 0, 0]),
        ({"kind": "split", "column": "side"}, 0, [0, 0, 0, 0]),
        ({**BLOCKS, "rotations": 1}, 0, [0, 0, 0, 0]),
        ({**BLOCKS, "rotations": 3}, 0, [1, 2, 0, 1]),
        ({**BLOCKS, "rotations": 3, "leaky": True}, 0, [0, 0, 0, 0]),
        ({"kind": "folds", "folds": 4}, 0, [1, 2, 3, 0]),
        (COLUMN, 0, None),
        (COLUMN, 5, [1, 2, 3, 4]),
        ({"kind": "leave_one_out"}, 0, None),
        ({"kind": "leave_one_out"}, 3, [1, 2, 0, 1]),
    ],
)
def test_seeds_with_the_same_test_clips_have_one_fold(values, count, folds):
    found = folds_of_seeds(protocol(**values), [1, 2, 3, 4], count)
    assert found == (folds and dict(zip([1, 2, 3, 4], folds, strict=True)))


@pytest.mark.parametrize(
    ("values", "seeds", "count", "better"),
    [
        # mil_emodb until version 0.2: fold 1 three times, fold 3 once
        ({**BLOCKS, "rotations": 4}, [1, 2, 3, 4, 5, 6, 8, 9], 0, [1, 2, 3, 4, 5, 6, 8, 11]),
        ({"kind": "folds", "folds": 3}, [1, 2, 3, 4], 0, [1, 2, 3]),
        (COLUMN, [1, 2, 5], 4, [1, 2, 5, 6]),
        ({"kind": "leave_one_out"}, [3, 6, 4], 3, [1, 3, 4, 6]),
        ({"kind": "folds", "folds": 5}, [1, 2, 3], 0, None),  # some folds only, each once
        (COLUMN, [1, 2, 5], 0, None),  # the clips tell
        ({**BLOCKS, "rotations": 1}, [1, 2, 5], 0, None),
    ],
)
def test_a_fold_that_is_tested_more_often_than_another_is_refused(values, seeds, count, better):
    settings = SimpleNamespace(protocol=protocol(**values), seeds=seeds, study_seed=7)
    if better is None:
        return check_balanced(settings, "x.toml", count)
    with pytest.raises(UserError, match=r"x\.toml: seeds = .* is tested by") as error:
        check_balanced(settings, "x.toml", count)
    assert str(error.value).endswith(f"use seeds = {better}") and "\n" not in str(error.value)
    settings.seeds = better
    check_balanced(settings, "x.toml", count)


def test_every_experiment_tests_each_of_its_folds_equally_often():
    """Their files are refused otherwise, where the settings tell the folds; of columns the record tells."""
    for name in config.names("experiments"):
        file = config.load_experiment(name)
        if recorded := file.expected.get("recorded"):
            folds = list(recorded["folds"])
            assert len({folds.count(fold) for fold in folds}) == 1, name
            told = folds_of_seeds(file.settings.protocol, recorded["seeds"])
            assert told is None or list(told.values()) == folds, name
