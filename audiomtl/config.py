"""TOML files to settings and back: read, check, flatten, override by path, edit in place with comments kept.

A *setting path* is the dotted name of one setting (``optimizer.clipnorm``); it is the same string everywhere.
Every error is a `UserError` of one line: file, path, value, rule, nearest right name.

Contents: `load_experiment`, `load_study`, `names`, `settings_of`, `family`, `flatten`, `override`, `edit`, `digest`,
`trained_settings`, `epochs`, `monitor`.
"""

import difflib
import hashlib
import importlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import islice, product
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from audiomtl.errors import UserError
from audiomtl.settings.expected import Expected
from audiomtl.settings.faults import fault_paths, first_fault, nearest, show
from audiomtl.settings.shared import Experiment
from audiomtl.settings.study import Dimension, Study
from audiomtl.settings.toml import edit, flatten, override, read, toml_value

__all__ = ["edit", "flatten", "override", "toml_value"]  # of settings/toml.py, found here as well

NOT_TRAINED = ("description", "seeds", "study_seed", "limits", "scores")  # settings that change nothing in what one training computes
NAME = re.compile(r"[A-Za-z0-9_-]+")  # of files and ablations: make targets, tags and file names are made of them
MOST_TRIED = 1000  # combinations of other swept settings that might make a value allowed


@dataclass(frozen=True)
class ExperimentFile:
    """One ``experiments/NAME.toml``, checked."""

    name: str
    path: Path
    raw: dict[str, Any]  # the settings as in the file, without `expected` and `ablation`
    settings: Experiment
    expected: dict[str, Any]
    ablations: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> {setting path: value}

    def arm(self, name: str) -> dict[str, Any]:
        """Raw settings of the ablation ``name``; of the experiment itself for ``""``."""
        return override(self.raw, self.ablations[name]) if name else self.raw


@dataclass(frozen=True)
class StudyFile:
    """One ``studies/NAME.toml``, checked against its experiment."""

    name: str
    path: Path
    study: Study
    experiment: ExperimentFile

    @property
    def raw(self) -> dict[str, Any]:
        """Raw settings that the study starts from: trial 0."""
        return self.experiment.arm(self.study.ablation)

    @property
    def identity(self) -> str:
        """Key of the study: its experiment less the swept paths, the search space, and how trials are judged; not their number."""
        fixed = {path: value for path, value in trained_settings(self.raw).items() if path not in self.study.search}
        rest = self.study.model_dump(exclude={"trials", "description", "experiment"})
        key = {"study": rest, "name": self.name, "experiment": self.experiment.name, "fixed": fixed, "study_seed": self.raw["study_seed"]}
        return digest(key)


# ---------------------------------------------------------------- reading


def names(folder: str) -> list[str]:
    """Names of the TOML files in ``folder`` of the project in the current directory, sorted."""
    return sorted(path.stem for path in Path(folder).glob("*.toml") if path.is_file() and not path.name.startswith("."))


def find(folder: str, name: str) -> Path:
    """Path of ``name`` in ``folder``; a name that ends in ``.toml`` is a path already."""
    path = Path(name) if name.endswith(".toml") else Path(folder) / f"{name}.toml"
    if not path.is_file():
        known = names(folder)
        there = "is a folder, not a file" if path.is_dir() else "no such file"
        stem = Path(name).name.removesuffix(".toml")
        raise UserError(f"{path}: {there}{nearest(stem, known)}; {folder}/ here has: {', '.join(known) or 'nothing'}")
    if not NAME.fullmatch(path.stem):
        raise UserError(f"{path}: a file's name may have letters, digits, _ and - only: targets and tags are made of it; rename it")
    return path


def load_experiment(name: str) -> ExperimentFile:
    """Read and check ``experiments/NAME.toml``, or the file at a path that ends in ``.toml``."""
    path = find("experiments", name)
    document = read(path)
    expected, arms = document.pop("expected", {}), document.pop("ablation", {})
    settings = settings_of(document, str(path))
    _check_expected(expected, str(path))
    if not isinstance(arms, dict):
        raise UserError(f"{path}: ablation = {show(arms)}: must be tables, [ablation.NAME] each")
    ablations = {arm: _ablation(document, arm, table, str(path)) for arm, table in sorted(arms.items())}
    return ExperimentFile(path.stem, path, document, settings, expected, ablations)


def load_study(name: str, experiment: str | None = None) -> StudyFile:
    """Read and check ``studies/NAME.toml``, every range and every path against its experiment.

    ``experiment`` names another experiment file than the study's own (a copy, for instance).
    """
    path = find("studies", name)
    document = read(path)
    if isinstance(document.get("search"), dict):
        document["search"] = _dimensions(document["search"], str(path))
    try:
        study = Study.model_validate(document)
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error, Study)}") from None
    if not experiment:
        try:
            find("experiments", study.experiment)
        except UserError as error:
            raise UserError(f"{path}: experiment = {show(study.experiment)}: {error}") from None
    target = load_experiment(experiment or study.experiment)
    if study.ablation and study.ablation not in target.ablations:
        known = sorted(target.ablations)
        raise UserError(f"{path}: ablation = {show(study.ablation)}: {target.path} has no such ablation{nearest(study.ablation, known)}")
    result = StudyFile(path.stem, path, study, target)
    _check_search(result)
    _check_judge(result)
    return result


def _check_expected(expected: Any, place: str) -> None:
    if not isinstance(expected, dict):
        raise UserError(f"{place}: expected = {show(expected)}: must be a table")
    if not expected:
        return
    scores = {name: score for name, score in expected.items() if name != "recorded"}
    try:
        Expected.model_validate({"scores": scores} | {name: expected[name] for name in ("recorded",) if name in expected})
    except ValidationError as error:
        text = first_fault(error, Expected).removeprefix("scores.")
        raise UserError(f"{place}: expected.{text}; remove [expected] and write it anew: audiomtl best NAME --record") from None


def _ablation(document: Mapping[str, Any], arm: str, table: Any, path: str) -> dict[str, Any]:
    """The overrides of one ``[ablation.ARM]``, checked."""
    place = f"{path}: ablation.{arm}"
    if not NAME.fullmatch(arm):
        raise UserError(f"{place}: an ablation's name may have letters, digits, _ and - only; rename it")
    overrides = flatten(table) if isinstance(table, dict) else {}
    if not overrides:
        raise UserError(f'{place}: must be a table of setting paths, such as features.scaling = "none"')
    paths = flatten(document)
    for setting, value in overrides.items():
        _known_path(setting, paths, f"{place}.{setting} = {show(value)}")
        if not _trained(setting) and not setting.startswith("limits."):
            raise UserError(f"{place}.{setting} = {show(value)}: {setting} changes nothing in a training: remove it from the ablation")
    settings_of(override(document, overrides), place)
    return overrides


def epochs(raw: Mapping[str, Any]) -> int:
    """Epochs of one training; a family without a table ``[training]`` fits in one go."""
    return int(raw["training"]["epochs"]) if "training" in raw else 1


def monitor(raw: Mapping[str, Any]) -> str:
    """The score to watch: ``training.monitor``, or the family's first on validation."""
    return raw["training"]["monitor"] if "training" in raw else f"validation/{next(iter(scores(raw)))}"


def scores(raw: Mapping[str, Any]) -> dict[str, str]:
    """{score: direction} that is recorded and reported, the deciding one first: the file's own table ``scores``, or the family's."""
    return dict(raw["scores"] if "scores" in raw else family("settings", raw["model"]).SCORES)


# ---------------------------------------------------------------- studies


def _dimensions(table: Mapping[str, Any], place: str, prefix: str = "") -> dict[str, Any]:
    """``optimizer.clipnorm = { choices = ... }`` reads as nested tables: back to setting paths, also inside ``when``."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        inner: dict[str, Any] = {path: value}
        if isinstance(value, dict) and _holds_paths(value):
            inner = _dimensions(value, place, f"{path}.")
        elif isinstance(value, dict) and isinstance(value.get("when"), dict):
            inner = {path: {**value, "when": flatten(value["when"])}}
        if twice := sorted(found.keys() & inner.keys()):
            raise UserError(f"{place}: search.{twice[0]}: is given twice, with and without quotes")
        found |= inner
    return found


def _holds_paths(table: Mapping[str, Any]) -> bool:
    """Whether a table of the search is a part of setting paths rather than a range: a table stands in it, or no word of a range."""
    words = [word for key in table for word in difflib.get_close_matches(key, Dimension.model_fields, n=1, cutoff=0.6)]
    return any(isinstance(value, dict) and key != "when" for key, value in table.items()) or bool(table and not words)


def _check_search(file: StudyFile) -> None:
    """Every swept path exists, every end of a range and every choice is allowed, and trial 0 lies inside."""
    search, own = file.study.search, flatten(file.raw)
    for path, dimension in search.items():
        place = f"{file.path}: search.{path}"
        _known_path(path, own, place)
        if not _trained(path):
            raise UserError(f"{place}: {path} changes nothing in a training: remove it from the search")
        if path == "model":
            raise UserError(f"{place}: the family cannot be swept: write one experiment for each")
        for other in dimension.when:
            _known_path(other, own, f"{place}: when.{other}")
    ordered(search, str(file.path))
    for path, dimension in search.items():
        place = f"{file.path}: search.{path}"
        for other, wanted in dimension.when.items():
            for value in wanted:
                _check_value(file, other, value, f"{place}: when.{other}")
            possible = [value for value in wanted if (search[other].holds(value) if other in search else value == own[other])]
            if not possible:
                why = f"it is swept over {search[other].space}" if other in search else f"it is {show(own[other])} and is not swept"
                raise UserError(f"{place}: when.{other} = {show(wanted)}: is never true: {why}")
        _check_space(file, path, dimension, own, place)


def _check_space(file: StudyFile, path: str, dimension: Dimension, own: Mapping[str, Any], place: str) -> None:
    """The values of one swept setting against its schema and against trial 0."""
    if dimension.choices is not None:
        for value in dimension.samples:
            _check_value(file, path, value, f"{place}: choices")
    else:
        if isinstance(own[path], bool) or not isinstance(own[path], int | float):
            raise UserError(f"{place}: {path} = {show(own[path])} is no number: sweep it over choices")
        if isinstance(own[path], float) and dimension.whole:
            ends = f"low = {dimension.low}.0, high = {dimension.high}.0"
            raise UserError(f"{place}: {path} is no whole number, but the range {dimension.space} is: write {ends}")
        for name, end in zip(("low", "high"), dimension.samples, strict=True):
            _check_value(file, path, end, f"{place}: {name}")
    if not dimension.holds(own[path]) and all(own[other] in wanted for other, wanted in dimension.when.items()):
        raise UserError(
            f"{place}: trial 0 is the experiment itself, but its {path} = {show(own[path])} is outside {dimension.space}: widen the search"
        )


def _check_value(file: StudyFile, path: str, value: Any, place: str) -> None:
    """One value of a swept setting, with its `when` fulfilled, against the schema of the experiment.

    A rule over a whole table is let pass where other swept settings of that table can set it right.
    """
    raw = override(file.raw, {**_conditions(file, path), path: value})
    Settings = settings_class(raw, place)
    fault = _fault(Settings, raw)
    if fault is None:
        return
    tables = fault_paths(fault, Settings)
    others = [other for other in file.study.search if other != path and any(_inside(other, table) for table in tables)]
    if others and all(_inside(path, table) for table in tables):
        wanted = file.study.search[path].when if path in file.study.search else {}
        samples = [[one for one in file.study.search[other].samples if one in wanted.get(other, [one])] for other in others]
        trials = product(*samples)
        if any(_fault(Settings, override(raw, dict(zip(others, trial, strict=True)))) is None for trial in islice(trials, MOST_TRIED)):
            return
    text = first_fault(fault, Settings).removeprefix(f"{path} = {show(value)}: ")
    raise UserError(f"{place} = {show(value)}: {text}")


def _inside(path: str, table: str) -> bool:
    return not table or path.startswith(f"{table}.")


def _fault(Settings: Any, raw: Mapping[str, Any]) -> ValidationError | None:
    try:
        Settings.model_validate(raw)
    except ValidationError as error:
        return error
    return None


def _conditions(file: StudyFile, path: str) -> dict[str, Any]:
    """Settings under which the swept setting at ``path`` is in use."""
    search, own, found = file.study.search, flatten(file.raw), dict[str, Any]()
    for other, wanted in search[path].when.items() if path in search else ():
        if other in search:
            found |= _conditions(file, other)
            possible = [value for value in wanted if search[other].holds(value)]
            if own[other] not in wanted and possible:
                found[other] = possible[0]
    return found


def _check_judge(file: StudyFile) -> None:
    """The scores that judge and prune exist, are sought in the right direction, and are no losses that cannot be compared."""
    settings = family("settings", file.raw["model"])
    known = {f"validation/{name}": direction for name, direction in {**scores(file.raw), "loss": "minimize"}.items()}
    swept = sorted(path for path in file.study.search if any(fnmatch(path, pattern) for pattern in getattr(settings, "LOSS_PATHS", ())))
    for name, direction in (("metric", "direction"), ("prune_on", "prune_direction")):
        score, sought = getattr(file.study, name), getattr(file.study, direction)
        if score not in known:
            raise UserError(
                f'{file.path}: {name} = "{score}": no such score{nearest(score, known)}; {file.raw["model"]} has {", ".join(known)}'
            )
        if sought != known[score]:
            raise UserError(f'{file.path}: {direction} = "{sought}": {score} must be {known[score]}d')
        if swept and score.endswith("loss"):
            raise UserError(
                f'{file.path}: {name} = "{score}": losses are not comparable while {swept[0]} is swept: judge by a score that is no loss'
            )


def ordered(search: Mapping[str, Dimension], place: str = "search") -> list[str]:
    """Swept paths, each after those that its ``when`` names; sorted otherwise."""
    done: list[str] = []
    left = sorted(search)
    while left:
        ready = [path for path in left if all(other not in left for other in search[path].when)]
        if not ready:
            circle = [left[0]]
            while circle.count(circle[-1]) < 2:
                circle.append(next(other for other in search[circle[-1]].when if other in left))
            raise UserError(
                f"{place}: search.{circle[-1]}: its `when` goes round in a circle: {' needs '.join(circle[circle.index(circle[-1]) :])}"
            )
        done += ready
        left = [path for path in left if path not in ready]
    return done


# ---------------------------------------------------------------- settings of a family


def family(floor: str, model: str) -> ModuleType:
    """The module of a family: ``audiomtl.<floor>.<model>``; ``package.name`` is ``package.<floor>.name`` outside the project."""
    package, _, name = model.rpartition(".")
    module = f"{package or 'audiomtl'}.{floor}.{name}"
    here = Path(__file__).parent / "models"
    known = sorted(path.stem for path in here.glob("*.py") if path.stem != "__init__")
    found = None
    if all(part.isidentifier() for part in model.split(".")):
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not error.name or not f"{module}.".startswith(f"{error.name}."):
                raise  # the family is there, but something that it imports is not
    if found is None:
        hint = f"; is {package} installed, or on PYTHONPATH?" if package else nearest(model, known)
        raise UserError(f"model = {show(model)}: no module {module}{hint}; families here: {', '.join(known)}")
    if floor == "settings" and not (hasattr(found, "Settings") and hasattr(found, "SCORES")):
        hint = nearest(model, known)
        raise UserError(
            f"model = {show(model)}: {module} is no family: it needs a class Settings and SCORES{hint}; families here: {', '.join(known)}"
        )
    return found


def settings_class(raw: Mapping[str, Any], place: str) -> Any:
    """The class of a family's settings."""
    model = raw.get("model")
    if model is None:
        slip = nearest("model", [key for key, value in raw.items() if not isinstance(value, dict)]).replace("did you mean", "is it")
        raise UserError(f'{place}: model is missing{slip}; name the family, such as model = "ctc"')
    if not isinstance(model, str):
        raise UserError(f'{place}: model = {show(model)}: must be the name of a family in quotes, such as "ctc"')
    try:
        return family("settings", model).Settings
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def settings_of(raw: Mapping[str, Any], place: str) -> Any:
    """Typed settings from a raw table; ``place`` (file, ablation, trial) begins the message of a `UserError`."""
    Settings = settings_class(raw, place)
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{place}: {first_fault(error, Settings)}") from None


# ---------------------------------------------------------------- keys of settings


def digest(value: Any) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a value's canonical JSON, in which 5.0 is 5 as in the settings themselves."""
    return hashlib.sha256(json.dumps(_canonical(value), sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def trained_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings that decide what a training computes."""
    return {path: value for path, value in flatten(raw).items() if _trained(path)}


def _trained(path: str) -> bool:
    return path.split(".")[0] not in NOT_TRAINED


def _known_path(path: str, known: Iterable[str], place: str) -> None:
    known = list(known)
    if path not in known:
        elsewhere = [name for name in known if name.rpartition(".")[2] == path.rpartition(".")[2]]
        raise UserError(f"{place}: no such setting{nearest(path, elsewhere) or nearest(path, known)}")
