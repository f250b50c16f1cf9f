"""Which test scores are independent of a study: those of seeds whose test clips it never saw.

A study trains and validates on everything but the test side of ``study_seed`` (`data.inner`). The score over
all seeds is therefore given together with that over the seeds which test clips that no trial has seen; and
where the best runs have the settings of a study's best trial, the difference to its score in the study is the
second half of its optimism, logged on the study's run as ``optimism/groups``.

An experiment whose settings were chosen otherwise, on the validation folds of all seeds, has no such clips:
``acknowledged = ["chosen_on_all_folds"]`` in its file.

Contents: `lines`, `unseen_seeds`, `seeds_to_record`, `was_chosen`, `has_study`; `CHOSEN`.
"""

from collections.abc import Mapping, Sequence
from statistics import mean

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog, inner
from audiomtl.errors import MissingData, UserError
from audiomtl.harness import experiment
from audiomtl.harness.record.runs import Swept, studies, trained
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.settings.toml import read

CHOSEN = "the settings were chosen on the validation folds of all seeds, which are their test folds"


def lines(file: ExperimentFile, best: Mapping[int, Run], tracking: Tracking) -> list[str]:
    """What to print beside the scores of the best runs, by seed; nothing where there is no study, or none of
    the runs tests what a study has seen.
    """
    every = tracking.runs(file.name, "tags.kind = 'study'") + tracking.runs(file.name, "tags.kind = 'trial'")
    recorded = [swept for swept in studies(every) if not swept.ablation]
    if not recorded and not was_chosen(file):
        return []
    unseen = unseen_seeds(file, list(best))
    found = [] if unseen is None or len(unseen) == len(best) else [_beside(file, best, unseen)]
    parents = {run.data.tags["study_key"]: run for run in every if run.data.tags["kind"] == "study"}
    for swept in recorded:
        found += _at_its_end(swept, parents[swept.key])
        if unseen:
            found += _optimism(swept, parents[swept.key], best, unseen, tracking)
    return found


def _at_its_end(swept: Swept, parent: Run) -> list[str]:
    """What the study has logged of its optimism."""
    known = {
        name.removeprefix("optimism/"): value
        for name, value in sorted(parent.data.metrics.items())
        if name.startswith(("optimism/selection", "optimism/seeds"))
    }
    text = ", ".join(f"{name} {value:+.4f}" for name, value in known.items())
    return [f"optimism of study {swept.name}, as estimated at its end: {text}"] if known else []


def unseen_seeds(file: ExperimentFile, seeds: Sequence[int]) -> list[int] | None:
    """Seeds whose test clips a study of the experiment has not seen; None without the data.

    There are none where the settings were chosen on all folds.
    """
    if file.chosen_on_all_folds:
        return []
    settings = config.settings_of(file.raw, str(file.path))
    try:
        table = catalog.clips(settings.data)
        return inner.unseen_seeds(table, settings.data, settings.protocol, settings.study_seed, seeds)
    except (MissingData, UserError):
        return None


def seeds_to_record(file: ExperimentFile) -> list[int] | None:
    """Seeds of the experiment whose test clips no study has seen; None where nothing was chosen."""
    return unseen_seeds(file, file.settings.seeds) if was_chosen(file) else None


def was_chosen(file: ExperimentFile) -> bool:
    """Whether the settings were chosen: by a study in ``studies/``, or on all folds."""
    return file.chosen_on_all_folds or has_study(file.name)


def has_study(name: str) -> bool:
    """Whether a file in ``studies/`` sweeps the experiment."""
    files = [config.find("studies", study) for study in config.names("studies")]
    return any(read(path).get("experiment") == name for path in files)


def _beside(file: ExperimentFile, best: Mapping[int, Run], unseen: Sequence[int]) -> str:
    seed = file.settings.study_seed
    if file.chosen_on_all_folds:
        return f"no test score is independent: {CHOSEN}"
    if not unseen:
        return f"every test score is of clips that a study with study_seed = {seed} has seen"
    key = f"test/{experiment.main_score(file)}"
    values = {number: run.data.metrics[key] for number, run in best.items() if key in run.data.metrics}
    independent = [values[number] for number in unseen if number in values]
    if not independent:
        return f"no run tests clips that a study with study_seed = {seed} has not seen"
    which = f"seed{'s' if len(independent) > 1 else ''} {', '.join(map(str, unseen))}"
    return (
        f"{key} {mean(values.values()):.4f} over all seeds, {mean(independent):.4f} over {which}, whose test"
        f" clips no study with study_seed = {seed} has seen"
    )


def _optimism(
    swept: Swept, parent: Run, best: Mapping[int, Run], unseen: Sequence[int], tracking: Tracking
) -> list[str]:
    """A line for each score by which the best trial has the settings of the best runs."""
    own = trained(next(iter(best.values())))
    found = []
    for index, (metric, direction) in enumerate(swept.objectives.items()):
        scored = {number: values for number in swept.trials if (values := swept.scores(number))}
        if not scored:
            continue
        sign = -1 if direction == "maximize" else 1
        number = min(scored, key=lambda trial: (sign * scored[trial][index], trial))
        key = metric.replace("validation/", "test/")
        runs = [best[seed] for seed in unseen]
        if trained(swept.trials[number]) != own or not all(key in run.data.metrics for run in runs):
            continue
        later = mean(run.data.metrics[key] for run in runs)
        score = scored[number][index]
        gain = score - later if direction == "maximize" else later - score
        several = f"/{metric}" if len(swept.objectives) > 1 else ""
        tracking.client.log_metric(parent.info.run_id, f"optimism/groups{several}", gain)
        found.append(
            f"optimism of study {swept.name}: {metric} {score:.4f} (trial {number}), {key} {later:.4f} on"
            f" groups that it has not seen: {gain:+.4f} (the study's score is"
            f" {_compared(gain)} this one)"
        )
    return found


def _compared(gain: float) -> str:
    """How the score in the study was to a later one, in words: of scores to be minimized, too."""
    shown = f"{abs(gain):.4f}"
    if not float(shown):
        return "equal to"
    return f"{shown} {'better' if gain > 0 else 'worse'} than"
