"""The best trial again with new seeds: which trainings are planned, and what is told of them."""

from types import SimpleNamespace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from audiomtl.harness.search import optimism, proposals
from audiomtl.harness.search.storage import open_storage

SPACE = {
    "network.units": CategoricalDistribution([4, 8]),
    "optimizer.learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
}
SEEDS = {"optimism_seeds = 0": "optimism_seeds = 3"}
SEVERAL = {
    'metric = "validation/error_rate"\ndirection = "minimize"': 'metrics = ["validation/error_rate",'
    ' "validation/loss"]\ndirections = ["minimize", "minimize"]'
}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Record complete trials with some values, and answer trainings of theirs with made-up scores."""
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("AUDIOMTL_STORAGE", raising=False)
    monkeypatch.setattr(optimism, "device", lambda *_: "CPU")
    asked = []

    def record(file, values, scores):
        study = proposals.create_study(file, open_storage())
        for number, value in enumerate(values):
            params = {"network.units": 4, "optimizer.learning_rate": 0.01 * (number + 1)}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=SPACE, values=value))

        def trained(_, planned, **options):
            asked.extend(planned)
            return {
                (one.arm, one.seed): SimpleNamespace(data=SimpleNamespace(metrics=metrics))
                for one in planned
                if (metrics := scores(one))
            }

        monkeypatch.setattr(optimism, "train_planned", trained)
        return asked

    return record


def measured(file, folds=(0,)):
    return optimism.measure(file, "parent", folds, slots=1, threads=1)


def test_the_best_trial_is_trained_with_three_new_seeds_on_the_split_of_the_study(study_file, recorded):
    file = study_file(SEEDS)
    score = {1001: 0.2, 1002: 0.3, 1003: 0.4}
    asked = recorded(file, [[0.3], [0.1], [0.1]], lambda one: {"best/validation/error_rate": score[one.seed]})
    [found] = measured(file)
    assert (found.trial, found.score, dict(found.again)) == (1, 0.1, score)
    assert found.value == pytest.approx(0.2)  # an error rate: it was 0.2 lower in the study
    assert "0.1000 in the study, 0.3000 with new seeds on the same clips" in found.line
    assert {one.raw["protocol"]["split_seed"] for one in asked} == {file.raw["study_seed"]}
    assert {one.raw["optimizer"]["learning_rate"] for one in asked} == {0.02}
    assert {one.kind for one in asked} == {"optimism"} and len({one.fingerprint for one in asked}) == 3
    assert {one.tags["mlflow.parentRunId"] for one in asked} == {"parent"}


def test_where_folds_judge_each_new_seed_has_the_mean_over_them(study_file, recorded):
    file = study_file(SEEDS)
    asked = recorded(
        file,
        [[0.1]],
        lambda one: {"best/validation/error_rate": 0.2 + 0.1 * one.raw["protocol"].get("inner_fold", 0)},
    )
    [found] = measured(file, (0, 2))
    assert len(asked) == 6 and list(found.again.values()) == pytest.approx([0.3] * 3)


def test_a_seed_that_failed_on_one_fold_does_not_count(study_file, recorded):
    file = study_file(SEEDS)
    recorded(
        file,
        [[0.1]],
        lambda one: (
            {} if (one.seed, "fold" in one.arm) == (1002, True) else {"best/validation/error_rate": 0.2}
        ),
    )
    [found] = measured(file, (0, 1))
    assert list(found.again) == [1001, 1003]


def test_with_several_metrics_each_has_its_own_best_trial(study_file, recorded):
    file = study_file({**SEEDS, **SEVERAL})
    recorded(
        file,
        [[0.3, 0.5], [0.1, 0.9]],
        lambda one: {"best/validation/error_rate": 0.2, "best/validation/loss": 0.7},
    )
    assert [(one.metric, one.trial, round(one.value, 6)) for one in measured(file)] == [
        ("validation/error_rate", 1, 0.1),
        ("validation/loss", 0, 0.2),
    ]


def test_new_seeds_are_those_of_nothing_else(study_file):
    file = study_file(SEEDS)
    settings = file.experiment.settings.model_copy(update={"seeds": (1, 1002), "study_seed": 1001})
    object.__setattr__(file.experiment, "settings", settings)
    assert optimism.new_seeds(file) == [1003, 1004, 1005]


def test_a_study_without_new_seeds_trains_nothing(study_file, recorded):
    file = study_file({})
    asked = recorded(file, [[0.1]], lambda one: {})
    assert measured(file) == [] and asked == []


DIES_AT_ITS_END = """
from audiomtl.harness import experiment
experiment._Runs.ended = lambda *_: die()
"""


@pytest.mark.slow
def test_a_kill_at_the_end_of_a_training_with_a_new_seed_costs_no_other_and_counts_no_trial(project):
    project.edit("studies", "optimism_seeds = 0", "optimism_seeds = 2")
    project.edit("studies", "trials = 5", "trials = 2")
    project.run_killed(DIES_AT_ITS_END, "study", "tiny", "--slots", "1")
    said = project.run("study", "tiny", "--slots", "1")
    assert "optimism of trial" in said and "bias of the selection: not estimated" in said
    runs = project.tracking().runs("tiny")
    kinds = [(run.data.tags["kind"], run.data.tags.get("outcome")) for run in runs]
    assert (
        kinds.count(("optimism", "complete"))
        == kinds.count(("trial", "complete")) + kinds.count(("trial", "pruned"))
        == 2
    )
    assert len(kinds) == 5 and len(project.trials()) == 2
    [parent] = [run for run in runs if run.data.tags["kind"] == "study"]
    assert "optimism/seeds" in parent.data.metrics
    assert "already finished" in project.run("study", "tiny", "--slots", "1")


@pytest.mark.parametrize(
    ("folds", "seeds", "words"),
    [
        ((0,), (1001, 1002, 1003), "3 trainings of its settings with 3 new seeds;"),
        ((0,), (1001,), "1 training of its settings with a new seed;"),
        ((0, 1), (1001, 1002), "4 trainings of its settings with 2 new seeds on each of 2 inner folds;"),
    ],
)
def test_it_is_said_what_is_trained_and_how_to_skip_it(folds, seeds, words):
    planned = [(fold, seed) for fold in folds for seed in seeds]
    said = optimism._announced(planned, folds, seeds)
    assert said == f"estimates the optimism of the best score: {words} optimism_seeds = 0 skips this"
