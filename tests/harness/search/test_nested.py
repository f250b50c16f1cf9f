"""Full nesting: a study for every different test side, each with a key of its own."""

import pytest

from audiomtl.errors import UserError
from audiomtl.harness.search import nested


@pytest.fixture
def rotated(study_file, tmp_path, monkeypatch):
    """The study of ``tests/lab`` with three blocks; seeds 1 and 4 test the same one."""
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = study_file({})
    file.experiment.raw["protocol"]["rotations"] = 3
    file.experiment.raw["seeds"] = [1, 2, 3, 4]
    return file


def test_each_test_side_has_a_study_of_its_own(rotated):
    seeds = nested.outer_seeds(rotated)
    assert seeds == [1, 2, 3]
    folds = [nested.of_fold(rotated, seed) for seed in seeds]
    assert [one.raw["study_seed"] for one in folds] == seeds
    assert len({one.identity for one in [rotated, *folds]}) == 4
    assert [one.name for one in folds] == ["tiny-nested-1", "tiny-nested-2", "tiny-nested-3"]


def test_the_price_counts_trials_and_the_scored_trainings(rotated):
    """For each block 5 trials, each with a training per inner fold, and one training that is scored."""
    inner = nested.members.plan(rotated, nested.catalog.clips(rotated.experiment.settings.data))
    line = nested.price(rotated, [1, 2, 3], 2)
    assert (
        f"3 studies of 5 trials of {len(inner)} trainings, {3 * (5 * len(inner) + 1)} trainings in all"
        in line
    )
    assert line.endswith("duration unknown, 2 in parallel")


def test_seeds_that_test_the_same_clips_are_refused(study_file):
    with pytest.raises(UserError, match="every seed of tiny tests the same clips: use a protocol with folds"):
        nested.outer_seeds(study_file({}))
