"""Validation of a study's search against its experiment: every path, range, choice and score, before anything
is trained.

Contents: `dimensions`, `check_search`, `check_judges`, `ordered`.
"""

import difflib
from collections.abc import Mapping
from fnmatch import fnmatch
from itertools import islice, product
from typing import Any

from pydantic import ValidationError

from audiomtl.errors import UserError
from audiomtl.settings.family import family, is_scored, known_path, scores, settings_class
from audiomtl.settings.fields import Setting, known_paths
from audiomtl.settings.study import Dimension, Study
from audiomtl.settings.table import ABOVE_0
from audiomtl.settings.toml import flatten, override
from audiomtl.settings.validation import error_paths, first_error, nearest, show

MOST_TRIED = 1000  # combinations of other swept settings that might make a value allowed


def dimensions(table: Mapping[str, Any], place: str, prefix: str = "") -> dict[str, Any]:
    """``optimizer.clipnorm = { choices = ... }`` reads as nested tables: back to setting paths, also
    inside ``when``.
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        inner: dict[str, Any] = {path: value}
        if isinstance(value, dict) and _holds_paths(value):
            inner = dimensions(value, place, f"{path}.")
        elif isinstance(value, dict) and isinstance(value.get("when"), dict):
            inner = {path: {**value, "when": flatten(value["when"])}}
        if twice := sorted(found.keys() & inner.keys()):
            raise UserError(f"{place}: search.{twice[0]}: is given twice, once with and once without quotes")
        found |= inner
    return found


def _holds_paths(table: Mapping[str, Any]) -> bool:
    """Whether a table of the search is a part of setting paths rather than a range: a table stands in it,
    or no word of a range.
    """
    words = [
        word
        for key in table
        for word in difflib.get_close_matches(key, Dimension.model_fields, n=1, cutoff=0.6)
    ]
    return any(isinstance(value, dict) and key != "when" for key, value in table.items()) or bool(
        table and not words
    )


def check_search(study: Study, raw: Mapping[str, Any], file: str) -> None:
    """Every swept path exists, every end of a range and every choice is allowed, trial 0 lies inside, and
    no trial lacks a setting.
    """
    search, own = study.search, flatten(raw)
    known = known_paths(settings_class(raw, file), raw)
    for path, dimension in search.items():
        place = f"{file}: search.{path}"
        known_path(path, known, place)
        if not is_scored(path):
            raise UserError(f"{place}: {path} does not affect training: remove it from the search")
        if path == "model":
            raise UserError(f"{place}: the family cannot be swept: write one experiment per family")
        if path.startswith("protocol."):
            raise UserError(
                f"{place}: the split cannot be swept: trials would be judged on different clips; write one"
                " experiment per protocol"
            )
        for other in dimension.when:
            known_path(other, known, f"{place}: when.{other}")
    ordered(search, file)
    for path, dimension in search.items():
        place = f"{file}: search.{path}"
        for other, wanted in dimension.when.items():
            for value in wanted:
                _check_value(study, raw, other, value, f"{place}: when.{other}")
            possible = [
                value
                for value in wanted
                if (search[other].holds(value) if other in search else value == own.get(other))
            ]
            if not possible:
                fixed = (
                    f"it is {show(own[other])} and is not swept"
                    if other in own
                    else "it is neither in the experiment nor swept"
                )
                why = f"it is swept over {search[other].space}" if other in search else fixed
                raise UserError(f"{place}: when.{other} = {show(wanted)}: is never true: {why}")
        _check_space(study, raw, known[path], dimension, place)
    _check_needs(study, raw, known, file)


def _check_space(
    study: Study, raw: Mapping[str, Any], setting: Setting, dimension: Dimension, place: str
) -> None:
    """Check the values of one swept setting against its schema and against trial 0."""
    own, path = flatten(raw), setting.path
    if dimension.choices is not None:
        for value in dimension.samples:
            _check_value(study, raw, path, value, f"{place}: choices")
    else:
        number = type(own[path]) if path in own else setting.number
        if number not in (int, float):
            raise UserError(
                f"{place}: {path}{f' = {show(own[path])}' if path in own else ''} is not a number: sweep it"
                " over choices"
            )
        if number is float and dimension.whole:
            ends = f"low = {dimension.low}.0, high = {dimension.high}.0"
            raise UserError(
                f"{place}: {path} is not a whole number, but the range {dimension.space} is: write {ends}"
            )
        for name, end in zip(("low", "high"), dimension.samples, strict=True):
            _check_value(study, raw, path, end, f"{place}: {name}")
    swept_in_trial_0 = all(own.get(other) in wanted for other, wanted in dimension.when.items())
    if swept_in_trial_0 and path not in own:
        raise UserError(
            f"{place}: trial 0 has the settings of the experiment, which lacks {path}: add it, or sweep it"
            f" only where it is used{_remedy(setting)}"
        )
    if swept_in_trial_0 and not dimension.holds(own[path]):
        raise UserError(
            f"{place}: trial 0 has the settings of the experiment, but {path} = {show(own[path])} is outside"
            f" {dimension.space}: widen the search"
        )


def _remedy(setting: Setting) -> str:
    """The ``when`` of a setting that only some kinds use."""
    for condition in setting.conditions:
        if all(wanted != ABOVE_0 for wanted in condition.values()):
            when = {
                path: list(wanted) if isinstance(wanted, tuple) else [wanted]
                for path, wanted in condition.items()
            }
            return (
                ", when = {"
                f" {', '.join(f'{show(path)} = {show(values)}' for path, values in when.items())} }}"
            )
    return ""


def _check_needs(study: Study, raw: Mapping[str, Any], known: Mapping[str, Setting], file: str) -> None:
    """Check that the settings used by every sampled kind are in the experiment or in the search."""
    search, own = study.search, flatten(raw)
    used_by = {other for setting in known.values() for condition in setting.conditions for other in condition}
    used_by |= {other for dimension in search.values() for other in dimension.when}
    switches = [path for path in ordered(search) if path in used_by]
    for kinds in islice(product(*(search[path].samples for path in switches)), MOST_TRIED):
        chosen = dict(zip(switches, kinds, strict=True))
        values: dict[str, Any] = {}
        for path in ordered(search):
            if all({**own, **values}.get(other) in wanted for other, wanted in search[path].when.items()):
                values[path] = chosen.get(path, search[path].samples[0])
        trial = override(raw, values)
        Settings = settings_class(trial, file)
        fault = _fault(Settings, trial)
        if fault is not None and any(one["type"] == "needed" for one in fault.errors()):
            kind = ", ".join(f"{path} = {show(values[path])}" for path in switches if path in values)
            raise UserError(
                f"{file}: search: a trial with {kind} would lack a setting: {first_error(fault, Settings)},"
                " or sweep it"
            )


def _check_value(study: Study, raw: Mapping[str, Any], path: str, value: Any, place: str) -> None:
    """Check one value of a swept setting, with its `when` fulfilled, against the schema of the experiment.

    A rule over a whole table is not applied where other swept settings of that table can fulfil it.
    """
    raw = override(raw, {**_conditions(study.search, raw, path), path: value})
    Settings = settings_class(raw, place)
    fault = _fault(Settings, raw)
    # which `_check_needs` looks at
    if fault is None or all(one["type"] == "needed" for one in fault.errors()):
        return
    tables = error_paths(fault, Settings)
    others = [
        other for other in study.search if other != path and any(_inside(other, table) for table in tables)
    ]
    if others and all(_inside(path, table) for table in tables):
        wanted = study.search[path].when if path in study.search else {}
        samples = [
            [one for one in study.search[other].samples if one in wanted.get(other, [one])]
            for other in others
        ]
        trials = product(*samples)
        if any(
            _fault(Settings, override(raw, dict(zip(others, trial, strict=True)))) is None
            for trial in islice(trials, MOST_TRIED)
        ):
            return
    text = first_error(fault, Settings).removeprefix(f"{path} = {show(value)}: ")
    raise UserError(f"{place} = {show(value)}: {text}")


def _inside(path: str, table: str) -> bool:
    return not table or path.startswith(f"{table}.")


def _fault(Settings: Any, raw: Mapping[str, Any]) -> ValidationError | None:
    try:
        Settings.model_validate(raw)
    except ValidationError as error:
        return error
    return None


def _conditions(search: Mapping[str, Dimension], raw: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Settings under which the swept setting at ``path`` is in use."""
    own, found = flatten(raw), dict[str, Any]()
    for other, wanted in search[path].when.items() if path in search else ():
        if other in search:
            found |= _conditions(search, raw, other)
            possible = [value for value in wanted if search[other].holds(value)]
            if own.get(other) not in wanted and possible:
                found[other] = possible[0]
    return found


def check_judges(study: Study, raw: Mapping[str, Any], file: str) -> None:
    """Check that the scores that judge and prune exist, have the right direction, and are not losses that
    cannot be compared.
    """
    settings = family("settings", raw["model"])
    known = {
        f"validation/{name}": direction for name, direction in {**scores(raw), "loss": "minimize"}.items()
    }
    swept = sorted(
        path
        for path in study.search
        if any(fnmatch(path, pattern) for pattern in getattr(settings, "LOSS_PATHS", ()))
    )
    for (name, score), (direction, sought) in study.judges():
        if score not in known:
            raise UserError(
                f'{file}: {name} = "{score}": no such score{nearest(score, known)}; {raw["model"]} has'
                f" {', '.join(known)}"
            )
        if sought != known[score]:
            raise UserError(f'{file}: {direction} = "{sought}": {score} must be {known[score]}d')
        if swept and score.endswith("loss"):
            raise UserError(
                f'{file}: {name} = "{score}": losses are not comparable while {swept[0]} is swept: use a'
                " score that is not a loss"
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
                f"{place}: search.{circle[-1]}: its `when` is circular:"
                f" {' needs '.join(circle[circle.index(circle[-1]) :])}"
            )
        done += ready
        left = [path for path in left if path not in ready]
    return done
