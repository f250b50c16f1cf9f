"""Write a study's best trial, or one of its Pareto front, into the experiment file.

Contents: `promote`, `Promoted`.
"""

import tomllib
from collections.abc import Mapping
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


def promote(file: StudyFile, values: Mapping[str, Any], *, to: Path | None = None) -> Promoted:
    """Write a trial's swept settings into the experiment file; comments stay, and ``[expected]`` is removed,
    because it no longer applies.

    Parameters
    ----------
    values : its settings, from `harness.study.best_trial`.
    to : write a copy into this folder and leave the experiment file as it is.

    Raises
    ------
    UserError : the edited file does not read back as the trial's settings, or is not valid, for instance
        because an ablation changes a setting that the trial does not use (nothing is written then).
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
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, text)
    return Promoted(target, changed, expected_removed)


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
