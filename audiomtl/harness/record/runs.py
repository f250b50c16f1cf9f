"""Recorded runs: best runs of one code, data and settings, their ablations and studies.

Contents: `choose`, `arms`, `beside`, `studies`, `outcome`, `shown`, `existing`.
"""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Run, Tracking, runs_folder
from audiomtl.harness.search import pareto


def existing() -> Tracking | None:
    """The store; None if there is none yet, because reading must not create one."""
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (runs_folder() / "mlflow.db").is_file():
        return None
    return Tracking()


def parsed(text: str) -> Any:
    """Value of a parameter: text is logged unchanged, everything else as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def shown(value: Any) -> str:
    """A setting's value as in the file, numbers with 4 digits."""
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class BestSet:
    """Best runs of one code, data and settings, by seed."""

    runs: dict[int, Run]
    settings: dict[str, Any]  # setting path -> value, as trained
    code: str
    data: str
    older: int = 0  # complete best runs that are in no table

    def values(self, key: str) -> dict[int, float]:
        """One metric by seed, for runs that have it."""
        return {seed: run.data.metrics[key] for seed, run in self.runs.items() if key in run.data.metrics}


@dataclass(frozen=True)
class Arm:
    """One ablation beside the best runs."""

    name: str
    changes: dict[str, Any]
    same: bool = False  # the best run itself has its settings
    failed: int = 0  # seeds whose training failed
    # seed -> score on validation of the arm, of the best run
    pairs: dict[int, tuple[float, float]] = field(default_factory=dict)
    # means of the family's other scores on validation (`beside`)
    beside: dict[str, float] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)  # by seed, those of `pairs`

    @property
    def mean(self) -> float:
        return sum(value for value, _ in self.pairs.values()) / len(self.pairs)


@dataclass(frozen=True)
class Swept:
    """One study as MLflow has it."""

    name: str
    key: str
    objectives: dict[str, str]  # score that judges -> "minimize" or "maximize"
    ablation: str
    paths: dict[str, dict[str, list[Any]]]  # swept path -> its `when`
    trials: dict[int, Run]
    older: int  # studies of this name with other settings
    logarithmic: frozenset[str] = frozenset()  # swept paths that were sampled so

    def scores(self, number: int) -> list[float]:
        """The value of each objective; empty for a trial that did not complete."""
        metrics = self.trials[number].data.metrics if outcome(self.trials[number]) in SCORED else {}
        values = [metrics[f"best/{name}"] for name in self.objectives if f"best/{name}" in metrics]
        return values if len(values) == len(self.objectives) else []

    @property
    def front(self) -> list[int]:
        """Numbers of the non-dominated trials: the Pareto front, or the best trial; the first of equal
        ones.
        """
        scored = {number: values for number in self.trials if (values := self.scores(number))}
        return pareto.front(scored, list(self.objectives.values()))

    def value(self, number: int, path: str) -> str:
        """The value of a swept setting in one trial as in the file.

        A dash where its `when` was not fulfilled.
        """
        params = {other: parsed(text) for other, text in self.trials[number].data.params.items()}
        off = any(params.get(other) not in wanted for other, wanted in self.paths[path].items())
        return "-" if off else shown(params.get(path))


SCORED = ("complete", "answered")


def outcome(run: Run) -> str:
    """complete, pruned, failed, answered; running or interrupted before it has one."""
    return run.data.tags.get("outcome") or {"RUNNING": "running", "FAILED": "failed"}.get(
        run.info.status, "interrupted"
    )


def trained(run: Run) -> dict[str, Any]:
    """Settings that decided what a run computed, from its parameters."""
    every = {path: parsed(text) for path, text in run.data.params.items() if path != "seed"}
    return {path: value for path, value in every.items() if path.split(".")[0] not in config.NOT_SCORED}


def choose(file: ExperimentFile, runs: Sequence[Run]) -> BestSet | None:
    """The best runs to report: see the top of this file. ``runs``: all of the experiment, oldest first."""
    sets: dict[str, dict[int, Run]] = {}
    newest: dict[str, int] = {}
    own = config.scored_settings(file.raw)
    complete = [run for run in runs if run.data.tags.get("kind") == "best" and outcome(run) == "complete"]
    for position, run in enumerate(complete):
        seed = int(run.data.tags["seed"])
        if seed not in file.settings.seeds:
            continue
        key = config.digest([run.data.tags.get("code"), run.data.tags.get("data"), trained(run)])
        sets.setdefault(key, {})[seed] = run  # a newer run of a seed takes the place of the older
        newest[key] = position
    if not sets:
        return None
    key = max(
        sets, key=lambda key: (len(sets[key]), trained(next(iter(sets[key].values()))) == own, newest[key])
    )
    chosen = {seed: sets[key][seed] for seed in file.settings.seeds if seed in sets[key]}
    first = next(iter(chosen.values()))
    tags = first.data.tags
    return BestSet(
        chosen, trained(first), tags.get("code", ""), tags.get("data", ""), len(complete) - len(chosen)
    )


def beside(file: ExperimentFile, runs: Mapping[int, Run]) -> dict[str, float]:
    """Means on validation of further scores for the tables, where all of some runs by seed have them.

    They are the file's own ``scores`` after the first, and those that match a pattern of the family's
    ``BESIDE``.
    """
    found = {}
    patterns = getattr(config.family("settings", file.raw["model"]), "BESIDE", ())
    recorded = {key for run in runs.values() for key in run.data.metrics}
    known = sorted(
        key.removeprefix("best/validation/") for key in recorded if key.startswith("best/validation/")
    )
    others = list(config.scores(file.raw))[1:] if "scores" in file.raw else []
    matching = [name for pattern in patterns for name in known if fnmatch(name, pattern)]
    for name in dict.fromkeys([*others, *matching]):
        values = [run.data.metrics.get(f"best/validation/{name}", math.nan) for run in runs.values()]
        if values and all(map(math.isfinite, values)):
            found[name] = sum(values) / len(values)
    return found


def arms(file: ExperimentFile, best: BestSet, runs: Sequence[Run]) -> list[Arm]:
    """The file's ablations beside the best runs, by name."""
    score = f"best/validation/{experiment.main_score(file)}"
    candidates = [(run, trained(run)) for run in runs if run.data.tags.get("kind") in ("best", "ablation")]
    found = []
    for name, overrides in sorted(file.ablations.items()):
        changes = {
            path: value for path, value in overrides.items() if path.split(".")[0] not in config.NOT_SCORED
        }
        wanted = best.settings | changes
        own_data = any(path.startswith("data.") for path in changes)
        code = _code_of_arm(file, name, best.code)
        pairs, failed, counted = dict[int, tuple[float, float]](), set[int](), dict[int, Run]()
        for run, settings in candidates if wanted != best.settings else []:
            seed = int(run.data.tags["seed"])
            if settings != wanted or seed not in best.runs or run.data.tags.get("code") != code:
                continue
            if not (own_data or run.data.tags.get("data") == best.data):
                continue
            if (
                outcome(run) == "complete"
                and score in run.data.metrics
                and score in best.runs[seed].data.metrics
            ):
                pairs[seed] = (run.data.metrics[score], best.runs[seed].data.metrics[score])
                counted[seed] = run
            elif outcome(run) == "failed":
                failed.add(seed)
        ordered = {seed: pairs[seed] for seed in best.runs if seed in pairs}
        found.append(
            Arm(
                name,
                changes,
                wanted == best.settings,
                len(failed - pairs.keys()),
                ordered,
                beside(file, counted),
                {seed: counted[seed] for seed in ordered},
            )
        )
    return found


def _code_of_arm(file: ExperimentFile, name: str, best: str) -> str:
    """Key of the code of an ablation's runs beside best runs of the code ``best``.

    Another scaling, pooling or data set has code of its own, so that the key differs from theirs although
    nothing was edited. It is known for the code of today only.
    """
    return provenance.code_version(file.arm(name)) if best == provenance.code_version(file.raw) else best


def studies(runs: Sequence[Run]) -> list[Swept]:
    """The most recent study of each name of an experiment."""
    parents = {
        run.data.tags["study_key"]: run
        for run in runs
        if run.data.tags.get("kind") == "study" and "study.trials" in run.data.params
    }
    trials = [
        run
        for run in runs
        if run.data.tags.get("kind") == "trial" and run.data.tags.get("study_key") in parents
    ]
    last = {
        parents[key].data.tags["study"]: key
        for key in [*parents, *(run.data.tags["study_key"] for run in trials)]
    }
    found = []
    for name, key in sorted(last.items()):
        params = {
            path.removeprefix("study."): parsed(text) for path, text in parents[key].data.params.items()
        }
        swept = [
            path.removeprefix("search.").removesuffix(".choices")
            for path in params
            if re.fullmatch(r"search\..*\.choices", path)
        ]
        whens = {
            path: {
                other.split(".when.")[1]: value
                for other, value in params.items()
                if other.startswith(f"search.{path}.when.")
            }
            for path in sorted(swept)
        }
        own = {int(run.data.tags["trial"]): run for run in trials if run.data.tags["study_key"] == key}
        older = sum(parent.data.tags["study"] == name for parent in parents.values()) - 1
        ablation = str(params.get("ablation", ""))
        several = params.get("metrics")
        objectives = (
            dict(zip(several, params["directions"], strict=True))
            if several
            else {params["metric"]: params["direction"]}
        )
        log = frozenset(path for path in swept if params.get(f"search.{path}.log"))
        found.append(Swept(name, key, objectives, ablation, whens, dict(sorted(own.items())), older, log))
    return found
