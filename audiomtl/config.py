"""TOML files to settings and back: read, validate, flatten, override by path, edit in place.

A *setting path* is the dotted name of one setting (``optimizer.clipnorm``); it is the same string everywhere.
Every error is a `UserError` of one line: file, path, value, rule, closest valid name.

Contents: `load_experiment`, `checked_experiment`, `load_experiments`, `load_study`, `names`, `digest`,
`epochs`, `monitor`; and, of `settings/`, `settings_of`, `family`, `trained_settings`, `scored_settings`,
`ordered`, `flatten`, `override`, `edit`.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audiomtl.errors import UserError
from audiomtl.settings import budget, published
from audiomtl.settings.expected import Expected
from audiomtl.settings.family import (
    NOT_SCORED,
    families,
    family,
    is_scored,
    known_path,
    package_of,
    scored_settings,
    scores,
    settings_class,
    settings_of,
    trained_settings,
)
from audiomtl.settings.fields import known_paths
from audiomtl.settings.judge import Judge, judge_of
from audiomtl.settings.monitor import check_monitor
from audiomtl.settings.published import Reference
from audiomtl.settings.replicates import check_balanced
from audiomtl.settings.search import check_judges, check_search, dimensions, ordered
from audiomtl.settings.shared import Experiment
from audiomtl.settings.study import Study
from audiomtl.settings.toml import edit, flatten, override, read, toml_value
from audiomtl.settings.validation import first_error, nearest, show

# of settings/, found here as well
__all__ = [
    "NOT_SCORED",
    "edit",
    "families",
    "family",
    "flatten",
    "is_scored",
    "ordered",
    "override",
    "package_of",
    "scored_settings",
    "scores",
    "settings_of",
    "toml_value",
    "trained_settings",
]

MONITORING = ("training.monitor", "training.monitor_direction")
MARKS = ("core", "curve")  # keys of an ablation that are no settings
QUESTION = "question"  # and one that groups ablations whose differences are judged together
# keys of a study that change no trial
NOT_OF_IDENTITY = ("trials", "sampler", "optimism_seeds", "description", "experiment", "stop_after_failures")
# of files and ablations: make targets, tags and file names are made of them
NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class ExperimentFile:
    """A validated ``experiments/NAME.toml``."""

    name: str
    path: Path
    # the settings as in the file, without `expected`, `ablation`, `reference` and `acknowledged`
    raw: dict[str, Any]
    settings: Experiment
    expected: dict[str, Any]
    ablations: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> {setting path: value}
    core: tuple[str, ...] = ()  # ablations with ``core = true``: all that ``--core`` trains
    curve: tuple[str, ...] = ()  # ablations with ``curve = true``: drawn beside the experiment's label curve
    # ablation -> the question that it answers, together with all others of this question
    questions: dict[str, str] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()  # published figures
    acknowledged: tuple[str, ...] = ()  # scores that are known to be no better than their floor
    small_validation: bool = False  # acknowledged: few clips choose epochs and settings
    chosen_on_all_folds: bool = False  # acknowledged: the settings know the test clips of every seed

    def arm(self, name: str) -> dict[str, Any]:
        """Raw settings of the ablation ``name``; of the experiment itself for ``""``."""
        return override(self.raw, self.ablations[name]) if name else self.raw


@dataclass(frozen=True)
class StudyFile:
    """A ``studies/NAME.toml``, validated against its experiment."""

    name: str
    path: Path
    study: Study
    experiment: ExperimentFile

    @property
    def raw(self) -> dict[str, Any]:
        """Raw settings that the study starts from: trial 0. No trial is trained on what judges it."""
        raw = self.experiment.arm(self.study.ablation)
        refitted = raw.get("protocol", {}).get("train_on", "train") != "train"
        return override(raw, {"protocol.train_on": "train"}) if refitted else raw

    @property
    def judge(self) -> Judge:
        """How many trainings judge a trial: the file's ``[judge]``, or what the protocol asks for."""
        if self.study.decode_only:
            return Judge(over="one", n=None, drop=True)
        return judge_of(self.study.judge, self.raw)

    def told(self, *less: str) -> dict[str, Any]:
        """The study's content as plain values, without the keys in ``less``; how its trials are judged is
        among them where that is by several trainings.
        """
        judged = {} if self.judge.over == "one" else {"judge": self.judge.model_dump()}
        return self.study.told(*less) | judged

    @property
    def identity(self) -> str:
        """Key of the study: its experiment without the swept paths, the search space and the objectives.

        What changes no trial, such as their number, is not part of it.
        """
        fixed = {
            path: value for path, value in scored_settings(self.raw).items() if path not in self.study.search
        }
        rest = self.told(*NOT_OF_IDENTITY)
        key = {
            "study": rest,
            "name": self.name,
            "experiment": self.experiment.name,
            "fixed": fixed,
            "study_seed": self.raw["study_seed"],
        }
        return digest(key)


# ---------------------------------------------------------------- reading


def names(folder: str) -> list[str]:
    """Names of the TOML files in ``folder`` of the project in the current directory, sorted."""
    return sorted(
        path.stem for path in Path(folder).glob("*.toml") if path.is_file() and not path.name.startswith(".")
    )


def find(folder: str, name: str) -> Path:
    """Path of ``name`` in ``folder``; a name that ends in ``.toml`` is a path already."""
    path = Path(name) if name.endswith(".toml") else Path(folder) / f"{name}.toml"
    if not path.is_file():
        known = names(folder)
        there = "is a folder, not a file" if path.is_dir() else "no such file"
        stem = Path(name).name.removesuffix(".toml")
        raise UserError(
            f"{path}: {there}{nearest(stem, known)}; {folder}/ contains: {', '.join(known) or 'no files'}"
        )
    if not NAME.fullmatch(path.stem):
        raise UserError(
            f"{path}: a file name may contain only letters, digits, _ and -, because make targets and tags"
            " are derived from it; rename the file"
        )
    return path


def load_experiment(name: str) -> ExperimentFile:
    """Read and check ``experiments/NAME.toml``, or the file at a path that ends in ``.toml``."""
    path = find("experiments", name)
    return checked_experiment(read(path), path)


def checked_experiment(document: dict[str, Any], path: Path) -> ExperimentFile:
    """The content of an experiment file, checked with its ablations; messages begin with ``path``."""
    expected, arms = document.pop("expected", {}), document.pop("ablation", {})
    references, acknowledged = document.pop("reference", []), document.pop("acknowledged", [])
    settings = settings_of(document, str(path))
    check_monitor(settings, document, str(path))
    check_balanced(settings, str(path))
    _check_expected(expected, str(path))
    if not isinstance(arms, dict):
        raise UserError(f"{path}: ablation = {show(arms)}: must be tables [ablation.NAME]")
    ablations = {arm: _ablation(document, arm, table, str(path)) for arm, table in sorted(arms.items())}
    core, curve = (tuple(arm for arm, table in sorted(arms.items()) if table.get(mark)) for mark in MARKS)
    reported = scores(document)
    known = published.checked_acknowledged(acknowledged, reported, str(path))
    return ExperimentFile(
        path.stem,
        path,
        document,
        settings,
        expected,
        ablations,
        core,
        curve,
        questions={arm: arms[arm][QUESTION] for arm in ablations if QUESTION in arms[arm]},
        references=published.checked_references(references, reported, str(path)),
        acknowledged=tuple(name for name in known if name not in published.MARKS),
        small_validation=published.SMALL_VALIDATION in known,
        chosen_on_all_folds=published.CHOSEN_ON_ALL_FOLDS in known,
    )


def load_experiments(chosen: list[str]) -> list[ExperimentFile]:
    """Experiments by name; without names all in the folder that are valid.

    One broken file, or family of the user, blocks no other; `audiomtl check` names it.
    """
    if chosen:
        return [load_experiment(name) for name in chosen]
    found = []
    for name in names("experiments"):
        with contextlib.suppress(Exception):
            found.append(load_experiment(name))
    return found


def load_study(name: str, experiment: str | None = None) -> StudyFile:
    """Read and check ``studies/NAME.toml``, every range and every path against its experiment.

    ``experiment`` names another experiment file than the study's own (a copy, for instance).
    """
    path = find("studies", name)
    document = read(path)
    if isinstance(document.get("search"), dict):
        document["search"] = dimensions(document["search"], str(path))
    trials_given = "trials" in document or document.get("sampler") != "grid"
    if not trials_given:
        document["trials"] = 1  # until the experiment is known: see `budget`
    try:
        study = Study.model_validate(document)
    except ValidationError as error:
        raise UserError(f"{path}: {first_error(error, Study)}") from None
    if not experiment:
        try:
            find("experiments", study.experiment)
        except UserError as error:
            raise UserError(f"{path}: experiment = {show(study.experiment)}: {error}") from None
    target = load_experiment(experiment or study.experiment)
    if study.ablation and study.ablation not in target.ablations:
        known = sorted(target.ablations)
        raise UserError(
            f"{path}: ablation = {show(study.ablation)}: no such ablation in"
            f" {target.path}{nearest(study.ablation, known)}"
        )
    result = StudyFile(path.stem, path, study, target)
    check_search(study, result.raw, str(path))
    check_judges(study, result.raw, str(path))
    _check_judge(result)
    result = replace(result, study=budget.checked(study, result.raw, str(path), trials_given=trials_given))
    swept = [setting for setting in MONITORING if setting in study.search]
    for values in product(*(study.search[setting].samples for setting in swept)) if swept else ():
        trial = override(result.raw, dict(zip(swept, values, strict=True)))
        check_monitor(settings_of(trial, f"{path}: search"), trial, f"{path}: search")
    return result


def _check_judge(file: StudyFile) -> None:
    """Check that trials of one training say how they are stopped early, and that folds are there."""
    judge, protocol = file.judge, file.raw.get("protocol", {})
    if judge.over == "one" and not file.study.prune_on and not file.study.decode_only:
        raise UserError(
            f"{file.path}: prune_on is missing: trials of one training need prune_on, prune_direction and"
            ' prune_after_epochs; or judge them by several: [judge] with over = "folds" or "seeds"'
        )
    if judge.over == "folds" and (protocol.get("leaky") or protocol.get("kind") == "split"):
        column = protocol.get("column")
        if protocol.get("leaky") or column:
            why = f"column {column} fixes them" if column else "protocol.leaky divides windows"
            raise UserError(
                f'{file.path}: judge.over = "folds": the protocol has no inner folds ({why}): use'
                ' over = "seeds" with n = 3'
            )


def _check_expected(expected: Any, place: str) -> None:
    if not isinstance(expected, dict):
        raise UserError(f"{place}: expected = {show(expected)}: must be a table")
    if not expected:
        return
    scores = {name: score for name, score in expected.items() if name != "recorded"}
    try:
        Expected.model_validate(
            {"scores": scores} | {name: expected[name] for name in ("recorded",) if name in expected}
        )
    except ValidationError as error:
        text = first_error(error, Expected).removeprefix("scores.")
        raise UserError(
            f"{place}: expected.{text}; remove [expected] and write it again: audiomtl best NAME --record"
        ) from None


def _ablation(document: Mapping[str, Any], arm: str, table: Any, path: str) -> dict[str, Any]:
    """The overrides of one ``[ablation.ARM]``, checked."""
    place = f"{path}: ablation.{arm}"
    if not NAME.fullmatch(arm):
        raise UserError(f"{place}: an ablation name may contain only letters, digits, _ and -; rename it")
    overrides = flatten(table) if isinstance(table, dict) else {}
    for mark in MARKS:
        if not isinstance(value := overrides.pop(mark, False), bool):
            raise UserError(f"{place}.{mark} = {show(value)}: must be true or false")
    question = overrides.pop(QUESTION, None)
    if question is not None and not (isinstance(question, str) and question.strip()):
        raise UserError(f"{place}.{QUESTION} = {show(question)}: must be a question in quotes")
    if not overrides:
        raise UserError(f'{place}: must be a table of setting paths, such as features.scaling = "none"')
    paths = {**flatten(document), **known_paths(settings_class(document, place), document)}
    for setting, value in overrides.items():
        known_path(setting, paths, f"{place}.{setting} = {show(value)}")
        if not is_scored(setting) and not setting.startswith("limits."):
            raise UserError(
                f"{place}.{setting} = {show(value)}: {setting} does not affect training: remove it from the"
                " ablation"
            )
    raw = override(document, overrides)
    settings = settings_of(raw, place)
    check_monitor(settings, raw, place)
    check_balanced(settings, place)
    return overrides


def epochs(raw: Mapping[str, Any]) -> int:
    """Epochs of one training; 1 for a family without a table ``[training]``."""
    return int(raw["training"]["epochs"]) if "training" in raw else 1


def monitor(raw: Mapping[str, Any]) -> str:
    """The monitored score: ``training.monitor``, or the family's first validation score."""
    return raw["training"]["monitor"] if "training" in raw else f"validation/{next(iter(scores(raw)))}"


# ---------------------------------------------------------------- keys of settings


def digest(value: Any) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a value's canonical JSON, in which 5.0 is 5 as in the
    settings themselves.
    """
    return hashlib.sha256(
        json.dumps(_canonical(value), sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()[:12]


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
