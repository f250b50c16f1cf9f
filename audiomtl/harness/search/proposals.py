"""A study in Optuna: its name, its sampler, and its best trials. Contents: `create_study`,
`name_metrics`, `sampler`, `enqueue_grid`, `pareto_front`, `front`, `best_trial`.
"""

import contextlib
import warnings
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.errors import UserError
from audiomtl.harness.search import pareto, retries, space
from audiomtl.harness.search.storage import open_storage
from audiomtl.settings import budget

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", message=".*is already reported")  # epochs that are told again after a crash

STARTUP_TRIALS = 10  # at random, before the sampler models anything


def study_name(file: StudyFile) -> str:
    """Optuna's name of a study: the file's, and its identity."""
    return f"{file.name}-{file.identity}"


def create_study(file: StudyFile, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """The Optuna study of a study file: its name carries its identity."""
    return optuna.create_study(
        storage=storage,
        sampler=sampler(file, 0),
        pruner=optuna.pruners.NopPruner(),  # see `pruning`
        study_name=study_name(file),
        directions=list(file.study.objectives.values()),
        load_if_exists=True,
    )


def name_metrics(study: optuna.Study, file: StudyFile) -> None:
    """Tell Optuna the names of the objectives, which its dashboard shows."""
    names = list(file.study.objectives)
    if study.metric_names != names:
        with warnings.catch_warnings():  # called experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(names)


def sampler(file: StudyFile, number: int) -> optuna.samplers.BaseSampler:
    """The study's sampler, seeded for one trial number.

    The points of a grid are put in the queue (`enqueue_grid`), so that none is drawn.
    """
    seed = int(config.digest([file.study.sampler_seed, number])[:8], 16)
    if file.study.sampler != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():  # multivariate, group and constant_liar are called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS
        )


def enqueue_grid(study: optuna.Study, file: StudyFile) -> None:
    """Put the combinations of a grid in the queue that the study has not tried yet, as far as its number of
    trials reaches. Their order is drawn, so that a part of a grid is spread over it; a larger grid keeps it.
    """
    if file.study.sampler != "grid":
        return
    trials = study.get_trials(deepcopy=False)
    known = {config.digest(space.params_of(trial)) for trial in trials}
    left = [
        params
        for values in budget.points(file.study.search, file.raw)
        if config.digest(params := space.encode(file, {**config.flatten(file.raw), **values})) not in known
    ]
    left.sort(key=lambda params: config.digest([file.study.sampler_seed, params]))
    for params in left[: max(0, file.study.trials + retries.count(trials) - len(trials))]:
        study.enqueue_trial(params)


def pareto_front(study: optuna.Study, file: StudyFile) -> dict[int, FrozenTrial]:
    """The trials that no other one beats, by number: with one metric the best trial alone, of equal ones
    the first.
    """
    complete = {
        trial.number: trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    }
    scores = {number: trial.values for number, trial in complete.items()}
    return {number: complete[number] for number in pareto.front(scores, list(file.study.objectives.values()))}


def front(file: StudyFile, storage: str = "") -> list[int]:
    """Numbers of the trials on a study's Pareto front; with one metric that of its best trial.

    Raises
    ------
    UserError : the study has no complete trial.
    """
    return list(_loaded_front(file, storage))


def _loaded_front(file: StudyFile, storage: str) -> dict[int, FrozenTrial]:
    best: dict[int, FrozenTrial] = {}
    with contextlib.suppress(KeyError):  # never run
        best = pareto_front(
            optuna.load_study(study_name=study_name(file), storage=open_storage(storage)), file
        )
    if not best:
        raise UserError(
            f"{file.path}: this study ({file.identity}) has no complete trial yet; run `make"
            f" study-{file.name}`"
        )
    return best


def best_trial(
    file: StudyFile, storage: str = "", number: int | None = None
) -> tuple[int, dict[str, float], dict[str, Any]]:
    """Number, scores and swept settings of a study's best trial; of equal ones the first.

    Parameters
    ----------
    number : which one of the Pareto front, where several metrics judge.

    Raises
    ------
    UserError : the study has no complete trial; several metrics and no ``number``, or one that is not on the
        front; one metric and a ``number``.
    """
    best = _loaded_front(file, storage)
    if file.study.metrics is None:
        if number is not None:
            raise UserError(
                f"{file.path}: --trial {number}: {file.study.metric} is the only metric and trial"
                f" {next(iter(best))} is best: omit --trial"
            )
        number = next(iter(best))
    if number not in best:
        raise UserError(
            f"{file.path}: trial {number} is not on the Pareto front; choose one of"
            f" {', '.join(map(str, best))}"
        )
    return (
        number,
        dict(zip(file.study.objectives, best[number].values, strict=True)),
        space.decode(file, best[number].params),
    )
