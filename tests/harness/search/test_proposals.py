"""Optuna's side of a study, without trainings: samplers are functions of the trial number, a grid is complete."""

from dataclasses import replace

import optuna
import pytest

from audiomtl import config
from audiomtl.harness.search import proposals, space

UNITS = "network.units = { choices = [4, 8] }"
RATE = "optimizer.learning_rate = { low = 1e-3, high = 1e-1, log = true }"
GRID = {
    'sampler = "random"': 'sampler = "grid"',
    "trials = 5\n": "",
    RATE: "training.epochs = { low = 5, high = 7 }",
}


def run(file: config.StudyFile, study: optuna.Study, until: int) -> list[dict]:
    """Settings of trials, told a made-up score; as often as the number of trials was reached, begun anew."""
    if not study.trials:
        study.enqueue_trial(space.encode(file, config.flatten(file.raw)))
    while len([trial for trial in study.trials if trial.state.is_finished()]) < until:
        proposals.enqueue_grid(study, file)
        study.sampler = proposals.sampler(file, len([one for one in study.trials if one.state.is_finished()]))
        trial = study.ask()
        values = space.suggest(trial, file)
        study.tell(trial, abs(values["network.units"] - 6.0) + trial.number / 100)
    return [trial.params for trial in study.trials if trial.state.is_finished()]


def open_study(file: config.StudyFile) -> optuna.Study:
    return proposals.create_study(file, optuna.storages.InMemoryStorage())


def test_a_grid_is_tried_whole_and_once_with_the_experiment_first(study_file):
    file = study_file(GRID)
    assert file.study.trials == 6
    params = run(file, open_study(file), 6)
    own = config.flatten(file.raw)
    assert params[0] == {path: own[path] for path in file.study.search}
    assert sorted((one["network.units"], one["training.epochs"]) for one in params) == [
        (units, epochs) for units in (4, 8) for epochs in (5, 6, 7)
    ]
    assert params == run(file, open_study(file), 6)


def test_a_part_of_a_grid_is_continued_where_it_was(study_file):
    file = study_file(GRID)
    fewer = replace(file, study=file.study.model_copy(update={"trials": 3}))
    study = open_study(file)
    assert len(run(fewer, study, 3)) == 3
    proposals.enqueue_grid(study, fewer)  # as another worker would
    assert len(study.trials) == 3
    assert run(file, study, 6) == run(file, open_study(file), 6)


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_a_proposal_is_a_function_of_seed_and_number(study_file, name):
    changes = {'sampler = "random"': f'sampler = "{name}"', "trials = 5": "trials = 20"}
    file = study_file(changes)
    params = run(file, open_study(file), 14)
    assert params == run(file, open_study(file), 14)
    other = replace(file, study=file.study.model_copy(update={"sampler_seed": 4}))
    assert params[1:] != run(other, open_study(other), 14)[1:]


def test_the_first_trials_of_tpe_are_those_of_a_random_search(study_file):
    """So a study of at most 10 trials is random search, whatever its file says."""
    tpe = study_file({'sampler = "random"': 'sampler = "tpe"', "trials = 5": "trials = 20"})
    at_random = study_file({})
    params = [run(file, open_study(file), 14) for file in (tpe, at_random)]
    assert params[0][:10] == params[1][:10] and params[0] != params[1]


def test_the_sampler_and_the_number_of_trials_continue_a_study(study_file):
    changes = {'sampler = "random"': 'sampler = "tpe"', "trials = 5": "trials = 20"}
    assert study_file(changes).identity == study_file({}).identity
