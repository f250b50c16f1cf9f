"""Full nesting: a study of its own for every outer fold, whose best trial is scored on the fold's test clips.

No clip that is scored has been seen by the study that chose the settings. The mean over the folds estimates
the procedure, search and training together; it is not the score of the promoted file, whose settings are
those of one study.

Contents: `outer_seeds`, `price`, `run`.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, median

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog, protocols, text
from audiomtl.errors import UserError, WorkFailed
from audiomtl.harness import terminal
from audiomtl.harness.experiment import Planned, train_planned
from audiomtl.harness.record import provenance
from audiomtl.harness.record.runs import existing
from audiomtl.harness.record.store import server_log
from audiomtl.harness.search import members
from audiomtl.harness.search.proposals import best_trial
from audiomtl.harness.search.records import NESTED
from audiomtl.harness.search.study import run_study
from audiomtl.harness.train.forkserver import device
from audiomtl.harness.train.progress import console


def outer_seeds(file: StudyFile) -> list[int]:
    """One seed of the experiment for each different test side.

    Raises
    ------
    UserError : all seeds have the same test clips, or several metrics judge.
    """
    settings = config.settings_of(file.raw, str(file.path))
    if len(file.study.objectives) > 1:
        raise UserError(f"{file.path}: --nested: needs one metric, but the study has several: give metric")
    table, found = catalog.clips(settings.data), dict[frozenset[str], int]()
    for seed in settings.seeds if not settings.protocol.leaky else ():
        test = protocols.divide(table, settings.data, settings.protocol, seed).test
        found.setdefault(frozenset(test["clip_id"]), seed)
    if len(found) < 2:
        raise UserError(
            f"{file.path}: --nested: every seed of {file.experiment.name} tests the same clips: use a"
            " protocol with folds"
        )
    return sorted(found.values())


def price(file: StudyFile, seeds: Sequence[int], slots: int) -> str:
    """Number and estimated minutes of the trainings, in a line."""
    each = 1
    if file.judge.over != "one":
        settings = config.settings_of(file.raw, str(file.path))
        each = len(members.plan(file, catalog.clips(settings.data)))
    count = len(seeds) * (file.study.trials * each + 1)
    tracking = existing()
    runs = tracking.runs(file.experiment.name, "attributes.status = 'FINISHED'") if tracking else []
    known = [run.data.metrics["cost/cpu_seconds"] for run in runs if "cost/cpu_seconds" in run.data.metrics]
    recorded = float(file.experiment.expected.get("recorded", {}).get("cpu_seconds_per_training", 0))
    seconds = median(known) if known else recorded
    time = f"{terminal.minutes(count * seconds / slots)} at most" if seconds else "duration unknown"
    return (
        f"study {file.name} --nested: {len(seeds)} studies of {file.study.trials} trials"
        f"{f' of {each} trainings' if each > 1 else ''}, {count} trainings in all, {time},"
        f" {slots} in parallel"
    )


def run(
    file: StudyFile, seeds: Sequence[int], *, slots: int, threads: int, storage: str = "", **options: bool
) -> None:
    """Run the study of every outer fold, train its best trial and score it on the fold's test clips; what is
    finished is not repeated.

    Parameters
    ----------
    options : ``retry_failed`` and ``take_over``, as of `run_study`.
    """
    planned = []
    for seed in seeds:
        own = of_fold(file, seed)
        run_study(own, slots=slots, threads=threads, storage=storage, **options)
        number, _, values = best_trial(own, storage)
        planned.append(_planned(own, seed, number, values, threads))
    runs = train_planned(file.experiment, planned, slots=slots, threads=threads, storage=storage)
    if len(runs) < len(planned):
        raise WorkFailed(f"{file.path}: --nested: a training failed; see the tag `reason` in MLflow")
    key = next(iter(file.study.objectives)).replace("validation/", "test/")
    scores = [runs[one.arm, one.seed].data.metrics[key] for one in planned]
    listed = ", ".join(f"{score:.4f} (seed {seed})" for score, seed in zip(scores, seeds, strict=True))
    console().print(
        f"study {file.name} --nested: {key} {mean(scores):.4f}, mean over {len(seeds)} outer folds: {listed};"
        f" it estimates the procedure, not the promoted {file.experiment.name}",
    )


def of_fold(file: StudyFile, seed: int) -> StudyFile:
    """The study that uses the split of ``seed`` in place of that of ``study_seed``."""
    raw = {**file.experiment.raw, "study_seed": seed, "seeds": [seed + 1]}
    settings = file.experiment.settings.model_copy(update={"study_seed": seed, "seeds": (seed + 1,)})
    experiment = replace(file.experiment, raw=raw, settings=settings)
    study = file.study.model_copy(update={"optimism_seeds": 0})
    return replace(file, name=f"{file.name}{NESTED}{seed}", study=study, experiment=experiment)


def _planned(file: StudyFile, seed: int, number: int, values: dict[str, object], threads: int) -> Planned:
    raw = config.override(file.raw, values)
    data = text.fingerprint(catalog.clips(config.settings_of(raw, str(file.path)).data), raw)
    training = provenance.training_key(raw, seed, data, threads, device(raw["model"], server_log()))
    tags = {"study": file.name, "study_key": file.identity, "trial": str(number)}
    described = (
        f"The best trial ({number}) of study {file.name}, which has not seen the test clips of seed {seed},"
        " scored on them."
    )
    key = provenance.scores_key(training, raw)
    return Planned(f"{file.name} trial {number}", raw, seed, training, key, data, "nested", tags, described)
