"""Write a study's best trial, or one of its Pareto front, into the experiment file.

Contents: `promote`, `Promoted`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.errors import UserError
from audiomtl.settings.published import without_published
from audiomtl.settings.toml import write


@dataclass(frozen=True)
class Promoted:
    """What `promote` wrote."""

    path: Path
    changed: dict[str, tuple[Any, Any]]  # setting path -> (old, new)
    expected_removed: bool  # the file had recorded scores, which no longer apply
    invalid: tuple[str, ...] = ()  # messages on studies of the experiment that its new settings make invalid


def promote(
    file: StudyFile, values: Mapping[str, Any], *, to: Path | None = None, force: bool = False
) -> Promoted:
    """Write a trial's swept settings into the experiment file; comments stay, and ``[expected]`` is removed,
    because it no longer applies.

    Parameters
    ----------
    values : its settings, from `harness.study.best_trial`.
    to : write a copy into this folder and leave the experiment file as it is.
    force : overwrite a copy there whatever it contains.

    Raises
    ------
    UserError : the edited file does not read back as the trial's settings, or is not valid, for instance
        because an ablation changes a setting that the trial does not use (nothing is written then); a copy
        there that was edited.
    """
    experiment, arm = file.experiment, file.study.ablation
    old = config.flatten(file.raw)
    # an ablation gets all its tuned settings: it must not inherit one of them from an experiment that is
    # promoted later
    own = experiment.ablations[arm] if arm else old
    changed = {
        path: (old.get(path), value)
        for path, value in sorted(values.items())
        if path not in own or old[path] != value
    }
    table = f"ablation.{arm}" if arm else ""
    text = experiment.path.read_bytes().decode("utf-8")
    text = config.edit(text, {path: new for path, (_, new) in changed.items()}, table)
    expected_removed = bool(changed) and not arm and "expected" in (document := tomlkit.parse(text))
    if expected_removed:
        document.remove("expected")
        text = tomlkit.dumps(document)
    wanted = config.override(file.raw, values)
    edited = without_published(tomllib.loads(text))
    arms = edited.pop("ablation", {})
    edited.pop("expected", None)
    own_arm = {
        path: value
        for path, value in (config.flatten(arms[arm]) if arm else {}).items()
        if path not in (*config.MARKS, config.QUESTION)
    }
    if config.override(edited, own_arm) != wanted:
        raise UserError(
            f"{experiment.path}: the edited file would not contain the settings of the trial; nothing was"
            " written: edit it by hand"
        )
    _check(text, experiment.path)
    target = to / experiment.path.name if to else experiment.path
    in_place = target.resolve() == experiment.path.resolve()
    if not (in_place or force):
        _refuse_edited(target, text, [f"{table}.{path}" if table else path for path in file.study.search])
    target.parent.mkdir(parents=True, exist_ok=True)
    valid = _studies(experiment.path) if in_place and changed else []
    write(target, text)
    return Promoted(target, changed, expected_removed, tuple(filter(None, map(_fault, valid))))


def _refuse_edited(target: Path, text: str, swept: Sequence[str]) -> None:
    """Refuse to overwrite a file that is another than an earlier promotion wrote: one that differs from
    ``text`` in more than the ``swept`` settings and what `audiomtl best --record` adds.
    """
    if not target.exists():
        return
    try:
        same = _rest(target.read_text(encoding="utf-8"), swept) == _rest(text, swept)
    except (OSError, ValueError):
        same = False
    if not same:
        raise UserError(
            f"{target}: already exists, and differs from the promoted experiment in more than the swept"
            " settings; use --force to overwrite it, or --to to name another folder"
        )


def _rest(text: str, swept: Sequence[str]) -> list[str]:
    """Lines of an experiment file without its swept settings and ``[expected]``, whatever their spaces.

    Raises
    ------
    ValueError : it is not TOML.
    """
    document: Any = tomlkit.parse(text)
    for path in ("expected", *swept):
        *tables, key = path.split(".")
        inner = document
        for name in tables:
            inner = inner.get(name, {}) if isinstance(inner, Mapping) else {}
        if isinstance(inner, Mapping) and key in inner:
            del inner[key]  # type: ignore[attr-defined]
    return [" ".join(line.split()) for line in tomlkit.dumps(document).splitlines() if line.strip()]


def _studies(experiment: Path) -> list[str]:
    """Valid studies in studies/ of an experiment."""
    found = []
    for name in config.names("studies"):
        try:
            file = config.load_study(name)
        except UserError:
            continue
        found += [name] if file.experiment.path.resolve() == experiment.resolve() else []
    return found


def _fault(study: str) -> str:
    """Why a study cannot be loaded; "" if it can."""
    try:
        config.load_study(study)
    except UserError as error:
        return str(error)
    return ""


def _check(text: str, path: Path) -> None:
    """Refuse a file that no later command could read."""
    try:
        config.checked_experiment(tomllib.loads(text), path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise UserError(
            f"{path}: not valid with the settings of the trial, nothing was written: {reason}; change or"
            " remove that in the file, then promote again"
        ) from None
