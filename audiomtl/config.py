"""TOML files to settings and back: read, check, flatten, override by path, edit in place with comments kept.

A *setting path* is the dotted name of one setting (``optimizer.clipnorm``); it is the same string everywhere.
Every error is a `UserError` of one line: file, path, value, rule, nearest right name.

Contents: `load_experiment`, `load_study`, `names`, `flatten`, `override`, `edit`, `digest`, `settings_of`, `family`.
"""

import difflib
import hashlib
import importlib
import importlib.util
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from audiomtl.errors import UserError
from audiomtl.settings.shared import Experiment
from audiomtl.settings.study import Study

NOT_TRAINED = ("description", "seeds", "study_seed", "limits")  # settings that change nothing in what one training computes


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
        fixed = {path: value for path, value in flatten(self.raw).items() if path not in self.study.search and _trained(path)}
        rest = self.study.model_dump(exclude={"trials", "description", "experiment"})
        return digest({"experiment": self.experiment.name, "fixed": fixed, "study_seed": self.raw["study_seed"], "study": rest})


# ---------------------------------------------------------------- reading


def names(folder: str) -> list[str]:
    """Names of the TOML files in ``folder`` of the project in the current directory, sorted."""
    return sorted(path.stem for path in Path(folder).glob("*.toml"))


def find(folder: str, name: str) -> Path:
    """Path of ``name`` in ``folder``; a name that ends in ``.toml`` is a path already."""
    path = Path(name) if name.endswith(".toml") else Path(folder) / f"{name}.toml"
    if not path.is_file():
        known = names(folder)
        raise UserError(f"{path}: no such file{nearest(name, known)}; {folder}/ has: {', '.join(known) or 'nothing'}")
    return path


def load_experiment(name: str) -> ExperimentFile:
    """Read and check ``experiments/NAME.toml``, or the file at a path that ends in ``.toml``."""
    path = find("experiments", name)
    document = _read(path)
    expected, arms = document.pop("expected", {}), document.pop("ablation", {})
    settings = settings_of(document, str(path))
    paths = flatten(document)
    ablations = {}
    for arm, table in sorted(arms.items()):
        if not isinstance(table, dict) or not table:
            raise UserError(f'{path}: ablation.{arm}: must be a table of setting paths, such as features.scaling = "none"')
        overrides = flatten(table)
        for setting, value in overrides.items():
            _known_path(setting, paths, f"{path}: ablation.{arm}.{setting} = {_show(value)}")
        ablations[arm] = overrides
        settings_of(override(document, overrides), f"{path}: ablation.{arm}")
    return ExperimentFile(path.stem, path, document, settings, expected, ablations)


def load_study(name: str, experiment: str | None = None) -> StudyFile:
    """Read and check ``studies/NAME.toml``, every range and every path against its experiment.

    ``experiment`` names another experiment file than the study's own (a copy, for instance).
    """
    path = find("studies", name)
    document = _read(path)
    if isinstance(document.get("search"), dict):
        document["search"] = _dimensions(document["search"])
    try:
        study = Study.model_validate(document)
    except ValidationError as error:
        raise UserError(_first(error, str(path), Study, document)) from None
    target = load_experiment(experiment or study.experiment)
    if study.ablation and study.ablation not in target.ablations:
        known = sorted(target.ablations)
        raise UserError(f'{path}: ablation = "{study.ablation}": {target.path} has no such ablation{nearest(study.ablation, known)}')
    result = StudyFile(path.stem, path, study, target)
    _check_search(result)
    return result


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None


def _dimensions(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``optimizer.clipnorm = { choices = ... }`` reads as nested tables: back to setting paths."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and all(isinstance(inner, dict) for inner in value.values()):
            found |= _dimensions(value, f"{path}.")
        else:
            found[path] = value
    return found


def _check_search(file: StudyFile) -> None:
    """Every swept path exists, both ends of every range are allowed, trial 0 lies inside, and losses stay comparable."""
    study, raw = file.study, file.raw
    own = flatten(raw)
    for path, dimension in study.search.items():
        place = f"{file.path}: search.{path}"
        _known_path(path, own, place)
        if not _trained(path):
            raise UserError(f"{place}: {path} changes nothing in a training: remove it from the search")
        for other, wanted in dimension.when.items():
            _known_path(other, own, f"{place}: when.{other}")
            if other in study.search and not any(study.search[other].holds(value) for value in wanted):
                raise UserError(f"{place}: when.{other} = {wanted} is never true: {other} is swept over other values")
        values = dimension.choices if dimension.choices is not None else [dimension.low, dimension.high]
        for value in values:
            settings_of(override(raw, {path: value}), f"{place} = {_show(value)}", only=path)
        if not dimension.holds(own[path]) and all(own[other] in wanted for other, wanted in dimension.when.items()):
            space = f"choices {dimension.choices}" if dimension.choices is not None else f"[{dimension.low}, {dimension.high}]"
            raise UserError(
                f"{place}: trial 0 is the experiment itself, but its {path} = {_show(own[path])} is outside {space}: widen the search"
            )
    _order(study.search, str(file.path))
    swept = sorted(set(getattr(family("settings", raw["model"]), "LOSS_PATHS", ())) & set(study.search))
    for name in ("metric", "prune_on"):
        if swept and getattr(study, name).endswith("loss"):
            value = getattr(study, name)
            raise UserError(
                f'{file.path}: {name} = "{value}": losses are not comparable while {swept[0]} is swept: judge by a score that is no loss'
            )


def _order(search: Mapping[str, Any], place: str) -> None:
    ordered(search, place)


def ordered(search: Mapping[str, Any], place: str = "search") -> list[str]:
    """Swept paths, each after those that its ``when`` names; sorted otherwise."""
    done: list[str] = []
    left = sorted(search)
    while left:
        ready = [path for path in left if all(other not in left for other in search[path].when)]
        if not ready:
            raise UserError(f"{place}: search.{left[0]}: its `when` goes round in a circle with {', '.join(left[1:]) or 'itself'}")
        done += ready
        left = [path for path in left if path not in ready]
    return done


# ---------------------------------------------------------------- settings of a family


def family(floor: str, model: str) -> ModuleType:
    """The module of a family: ``audiomtl.<floor>.<model>``; ``package.name`` is ``package.<floor>.name`` outside the project."""
    package, _, name = model.rpartition(".")
    module = f"{package or 'audiomtl'}.{floor}.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
    here = Path(__file__).parent / "models"
    known = sorted(path.stem for path in here.glob("*.py") if path.stem != "__init__")
    raise UserError(f'model = "{model}": no module {module}{nearest(model, known)}; families here: {", ".join(known)}')


def settings_of(raw: Mapping[str, Any], place: str, only: str = "") -> Any:
    """Typed settings from a raw table; with ``only`` a fault elsewhere than at that path is let pass."""
    model = raw.get("model")
    if not isinstance(model, str):
        raise UserError(f'{place}: model is missing: name the family, such as model = "ctc"')
    try:
        Settings = family("settings", model).Settings
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        if only and not any(only.startswith(_path(one)) or _path(one).startswith(only) for one in error.errors()):
            return None
        raise UserError(_first(error, place, Settings, raw)) from None


def _path(error: Any) -> str:
    """Setting path of one pydantic error, without the tags of unions and the types that pydantic adds."""
    return ".".join(str(part) for part in error["loc"] if str(part) not in _TAGS)


_TAGS = {"german_speech", "emodb", "[key]", "int", "float"}


def _first(error: ValidationError, place: str, Settings: Any, raw: Mapping[str, Any]) -> str:
    """The first fault of a table as one line, and how many more there are."""
    faults = error.errors()
    one = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    path, kind = _path(one), one["type"]
    if kind == "extra_forbidden":
        missing = [_path(fault) for fault in faults if fault["type"] == "missing"]
        parent, _, key = path.rpartition(".")
        allowed = [name.rpartition(".")[2] for name in missing if name.rpartition(".")[0] == parent] + _keys(Settings, raw, parent)
        text = f"{path} = {_show(one['input'])}: no such setting{nearest(key, allowed)}"
    elif kind == "missing":
        text = f"{path}: is missing: a file is complete, no setting has a default; add it"
    else:
        rule = one["msg"].removeprefix("Value error, ")
        text = f"{path} = {_show(one['input'])}: {rule}" if not isinstance(one["input"], dict) else f"{path + ': ' if path else ''}{rule}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 and kind != "extra_forbidden" else ""
    return f"{place}: {text}{more}"


def _keys(Settings: Any, raw: Mapping[str, Any], parent: str) -> list[str]:
    """Names of the settings allowed in the table at ``parent``."""
    table: Any = Settings
    for part in parent.split(".") if parent else []:
        annotation = table.model_fields[part].annotation if part in getattr(table, "model_fields", {}) else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        options = [option for option in options if hasattr(option, "model_fields")]
        inner = raw.get(part, {}) if isinstance(raw, Mapping) else {}
        table = max(options, key=lambda option: len(set(option.model_fields) & set(inner)), default=None)
        raw = inner
    return sorted(getattr(table, "model_fields", {}))


# ---------------------------------------------------------------- paths


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables to ``{setting path: value}``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def override(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``raw`` with the settings at some paths replaced."""
    copy = {key: dict(value) if isinstance(value, Mapping) else value for key, value in raw.items()}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        copy[head] = override(copy.get(head, {}), {rest: value}) if rest else value
    return copy


def edit(text: str, values: Mapping[str, Any], table: str = "") -> str:
    """TOML text with the values at some paths replaced and every other character kept.

    Parameters
    ----------
    table : setting paths are written as dotted keys of this table (``ablation.adam``); ``""`` writes into the settings themselves.
    """
    import tomlkit

    document = tomlkit.parse(text)
    for path, value in sorted(values.items()):
        node: Any = document
        parts = [*(table.split(".") if table else []), *path.split(".")]
        for part in parts[:-1]:
            if part not in node:
                node[part] = tomlkit.table()
            node = node[part]
        old = node.get(parts[-1])
        new = tomlkit.item(value)
        if old is not None and hasattr(old, "trivia"):
            new.trivia.comment_ws, new.trivia.comment, new.trivia.trail = old.trivia.comment_ws, old.trivia.comment, old.trivia.trail
        node[parts[-1]] = new
    return tomlkit.dumps(document)


def digest(value: Any) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def trained_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings that decide what a training computes."""
    return {path: value for path, value in flatten(raw).items() if _trained(path)}


def _trained(path: str) -> bool:
    return path.split(".")[0] not in NOT_TRAINED


def _known_path(path: str, known: Iterable[str], place: str) -> None:
    known = list(known)
    if path not in known:
        raise UserError(f"{place}: no such setting{nearest(path, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the closest of some names, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
